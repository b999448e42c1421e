// Gateway::Call: what the steps of one generation request share. Private to the gateway.
#pragma once

#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "gateway/admission.h"
#include "gateway/answer_fields.h"
#include "gateway/failure.h"
#include "gateway/gateway.h"
#include "gateway/hops.h"
#include "gateway/live_table.h"
#include "gateway/stream_filter.h"

namespace penstock::gateway {

meter::Operation ToMeter(Operation operation);

// Notes the request's start and end in the metrics, whichever way it ends.
struct Gateway::Call : io::InFrames {
  Call(Gateway& owner, http::Exchange& client, meter::EndpointMetrics& endpoint_metrics,
       io::Loop& clock)
      : gateway(owner), exchange(client), metrics(endpoint_metrics), loop(clock) {
    metrics.RequestStarted();
  }
  ~Call() {
    Delist();
    gateway.Settle(*this, exchange.status());
    EndAdmission(disconnected ? policy::ReplicaSet::Fate::kUnknown
                              : policy::ReplicaSet::Fate::kFailed);
    if (limits) {
      const policy::TokenCounts used = usage.AsCounts();
      limits->Finish(AsCaller(), limit_tokens, used.input + used.output, loop.Now());
    }
    if (payload) gateway.LogPayload(*this, exchange.status());
    metrics.RequestEnded(End(exchange.status()), loop.Now() - exchange.arrived_at(),
                         ToMeter(operation));
  }
  Call(const Call&) = delete;
  Call& operator=(const Call&) = delete;

  meter::RequestEnd End(int status) const {
    if (revoked) return meter::RequestEnd::kClientError;
    if (disconnected) return meter::RequestEnd::kDisconnected;
    if (upstream_failed || status == 0 || status >= 500) return meter::RequestEnd::kServerError;
    if (status == 429) return meter::RequestEnd::kRefused;
    return status >= 400 ? meter::RequestEnd::kClientError : meter::RequestEnd::kCompleted;
  }

  // What it used so far: written down when it ends. Durations are < 0 where there is none.
  struct Usage {
    meter::UsageSource source = meter::UsageSource::kNone;
    penstock::Usage tokens;
    std::uint64_t input_bytes = 0;
    std::uint64_t output_bytes = 0;
    Duration queue_wait{};
    Duration ttft{-1};
    Duration tpot{-1};
    double cost = 0;           // Normalised tokens that it drew,
    double reserved_cost = 0;  // and that were set aside for it.

    policy::TokenCounts AsCounts() const {
      if (source == meter::UsageSource::kNone) return {};
      return {.input = static_cast<std::int64_t>(tokens.prompt_tokens),
              .cached = static_cast<std::int64_t>(tokens.cached_tokens),
              .output = static_cast<std::int64_t>(tokens.completion_tokens)};
    }
  };

  class StreamNote;

  // What is needed until an answer begins: a stream lives long, and gives it up.
  struct Approach : io::InFrames {
    std::vector<Hop> hops;
    std::string spillover_field;  // A field's name, for as long as the next needs it.
    AnswerFields limit_fields;    // Of the whole request,
    AnswerFields rate_fields;     // and of the place that it is at.
    policy::RequestSize size;
    policy::PromptPrefix prefix;
    bool prompt_hashed = false;
    std::string_view prompt_text;  // In the body.
    std::string_view tools_text;
    std::string session;
    std::string api_version;
    TimePoint sent_at{};  // To the replica that it is at; zero: not yet.
  };

  // Take the usage out of an answer that is no stream; out of what passed of a stream.
  void NoteWhole(std::string_view answer);
  void NoteStream(const StreamCount& count);
  // Its client left before anything could be counted: what it can have cost.
  void NoteLeft();
  // Keeps a piece of the answer for the payload log.
  void KeepAnswer(std::string_view piece);

  // Goes to this place now: what is told and metered is that place's.
  void TakeHop(const Hop& hop);
  const policy::ServedRoute& served() const { return endpoint->served[entity]; }
  // Gives back what was reserved, less what was used; once.
  void EndAdmission(policy::ReplicaSet::Fate fate);
  void HashPrompt();
  void NoteSpillover();
  void Delist();
  policy::Caller AsCaller() const { return {.user = requester, .groups = groups}; }
  RefusedRequest AsRefused() const;
  // Everything that is said beside the answer, before it begins. Views into the call.
  std::vector<http::Field> Fields() const;

  Gateway& gateway;
  http::Exchange& exchange;
  meter::EndpointMetrics& metrics;
  io::Loop& loop;
  // What each event of a stream touches comes first: within a cache line.
  std::unique_ptr<Error> broken;                 // Why there is no answer, or how its stream broke.
  std::unique_ptr<meter::PayloadEntry> payload;  // Where the endpoint opted in.
  Admission admission;
  std::shared_ptr<const LiveEndpoint> live;
  std::shared_ptr<const policy::EndpointRoute> endpoint;  // live->route
  std::size_t entity = 0;                                 // Of endpoint->served.
  std::shared_ptr<EndpointLimits> limits;                 // Where `limit_tokens` were reserved.
  std::int64_t limit_tokens = 0;
  std::unique_ptr<Approach> approach = std::make_unique<Approach>();
  Surface surface = Surface::kOpenAi;
  std::vector<std::string> groups;  // Of the key.
  policy::KeyHash key{};
  Call* next_call = nullptr;  // In the gateway's list; see Gateway::Enlist.
  Call** call_link = nullptr;
  Operation operation = Operation::kChat;
  Dialect dialect = Dialect::kOpenAi;
  meter::RequestId id;
  std::string request_id;  // For client and replica: the client's own, or `id` as text.
  std::string requester;   // Name of the key.
  std::string client_request_id;
  std::string usage_context;
  std::string spilled_from;  // The endpoint that had no room for it.
  Usage usage;
  bool settled = false;      // The usage record is written.
  std::string_view body;     // In the exchange or in `rewritten`; gone once a stream is relayed.
  std::string rewritten;     // The body, with usage requested.
  bool stream = false;       // As asked for.
  bool strip_usage = false;  // The client did not ask for the usage event that we asked for.
  std::unique_ptr<http::ClientResponse> response;
  io::Companions companions;  // Of the upstream's stream, while events are relayed.
  bool disconnected = false;
  bool revoked = false;          // The key was, and the handler is cancelled.
  bool upstream_failed = false;  // After the answer began.
};

// Notes what a stream used when its relay ends, by whichever way.
class Gateway::Call::StreamNote {
 public:
  // Both are borrowed.
  StreamNote(Call& call, const StreamFilter& filter) : call_(call), filter_(filter) {}
  ~StreamNote() { Note(); }
  StreamNote(const StreamNote&) = delete;
  StreamNote& operator=(const StreamNote&) = delete;

  // Does so now, and not again.
  void Note() {
    if (!noted_) call_.NoteStream(filter_.count());
    noted_ = true;
  }

 private:
  Call& call_;
  const StreamFilter& filter_;
  bool noted_ = false;
};

}  // namespace penstock::gateway
