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
#include "gateway/output_bound.h"
#include "gateway/packed_texts.h"
#include "gateway/stream_filter.h"

namespace penstock::gateway {

meter::Operation ToMeter(Operation operation);

// Notes the request's start and end in the metrics, whichever way it ends.
struct Gateway::Call : io::InFrames {
  Call(Gateway& owner, http::Exchange& client, meter::EndpointMetrics& endpoint_metrics)
      : gateway(owner), exchange(client), metrics(&endpoint_metrics) {
    metrics->RequestStarted();
  }
  ~Call() {
    Delist();
    gateway.Settle(*this, exchange.status());
    EndAdmission(disconnected ? policy::ReplicaSet::Fate::kUnknown
                              : policy::ReplicaSet::Fate::kFailed);
    EndLimits();
    if (payload) gateway.LogPayload(*this, exchange.status());
    metrics->RequestEnded(End(exchange.status()), gateway.loop_.Now() - exchange.arrived_at(),
                          ToMeter(operation));
    response.reset();  // Before what it was asked with.
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
    bool settled = false;  // The usage record is written.
    penstock::Usage tokens;
    std::uint64_t input_bytes = 0;
    std::uint64_t output_bytes = 0;
    std::uint64_t input_characters = 0;
    std::uint64_t output_characters = 0;
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

  // What is needed until an answer begins: a stream lives long, and gives it up.
  struct Approach : io::InFrames {
    std::string request_id;  // For client and replica: the client's own, or `id` as text.
    std::string_view body;   // In the exchange or in `rewritten`.
    std::string rewritten;   // The body, with usage requested.
    std::vector<Hop> hops;
    std::string spillover_field;  // Names of fields, for as long as the next needs them.
    std::string served_field;
    int first_status = 0;       // What the place said that had no room.
    AnswerFields limit_fields;  // Of the whole request,
    AnswerFields rate_fields;   // and of the place that it is at.
    policy::RequestSize size;
    policy::PromptPrefix prefix;
    bool prompt_hashed = false;
    std::string_view prompt_text;  // In the body.
    std::string_view tools_text;
    std::string session;
    std::string api_version;
    std::string azure_client_id;  // x-ms-client-request-id
    TimePoint sent_at{};          // To the replica that it is at; zero: not yet.
    Pool::Upstream upstream;      // Of the first replica at a place, where it did not have to wait.
  };

  // Of the endpoint's rate limits.
  struct HeldLimits : io::InFrames {
    std::shared_ptr<EndpointLimits> limits;
    std::int64_t tokens = 0;  // Reserved.
  };

  // Texts of the usage record.
  enum Text : std::uint8_t { kClientRequestId, kUsageContext, kSpilledFrom, kTexts };

  // Take the usage out of an answer that is no stream; out of what passed of a stream.
  void NoteWhole(std::string_view answer);
  void NoteStream(const StreamCount& count);
  std::uint64_t Choices() const;
  // What a prompt counts for until somebody tells better.
  static std::uint64_t EstimatePrompt(const RequestPeek& peek);
  // Its client left before anything could be counted: what it can have cost.
  void NoteLeft();
  // Keeps a piece of the answer for the payload log.
  void KeepAnswer(std::string_view piece);

  // Goes to this place now: what is told and metered is that place's.
  void TakeHop(const Hop& hop);
  const policy::EndpointRoute& endpoint() const { return *live->route; }
  const policy::ServedRoute& served() const { return endpoint().served[entity]; }
  // At another endpoint than the one that was asked. REQUIRES: the approach.
  bool is_elsewhere() const {
    return !approach->hops.empty() && live != approach->hops.front().endpoint;
  }
  // Gives back what was reserved, less what was used; once.
  void EndAdmission(policy::ReplicaSet::Fate fate) { EndAdmission(fate, gateway.loop_.Now()); }
  void EndAdmission(policy::ReplicaSet::Fate fate, TimePoint now);
  // Likewise, what was reserved of the endpoint's rate limits.
  void EndLimits();
  void HashPrompt();
  void NoteSpillover();
  void Delist();
  policy::Caller AsCaller() const { return {.user = requester->name, .groups = requester->groups}; }
  RefusedRequest AsRefused() const;
  std::string IdText() const;  // As clients are told it.
  // Everything that is said beside the answer, before it begins. Views into the call.
  std::vector<http::Field> Fields() const;

  // Small: a stream holds it for as long as it lasts, beside thousands of others.
  // What each event of a stream touches comes first: within a cache line.
  Gateway& gateway;
  http::Exchange& exchange;
  std::unique_ptr<http::ClientResponse> response;
  std::unique_ptr<Error> broken;                 // Why there is no answer, or how its stream broke.
  std::unique_ptr<meter::PayloadEntry> payload;  // Where the endpoint opted in.
  Admission admission;
  meter::EndpointMetrics* metrics;  // Of the place that serves it.
  std::shared_ptr<const LiveEndpoint> live;
  std::shared_ptr<const Requester> requester;
  std::unique_ptr<HeldLimits> held_limits;
  std::unique_ptr<Approach> approach = std::make_unique<Approach>();
  Call* next_call = nullptr;  // In the gateway's list; see Gateway::Enlist.
  Call** call_link = nullptr;
  meter::RequestId id;
  PackedTexts<kTexts> texts;
  Usage usage;
  io::Companions companions;  // Of the upstream's stream, while events are relayed.
  std::uint32_t entity = 0;   // Of endpoint().served.
  OutputBound bound;          // Of what a stream may bring.
  bool stream = false;        // As asked for.
  bool strip_usage = false;   // The client did not ask for the usage event that we asked for.
  bool disconnected = false;
  bool revoked = false;          // The key was, and the handler is cancelled.
  bool upstream_failed = false;  // After the answer began.
  Surface surface = Surface::kOpenAi;
  Operation operation = Operation::kChat;
  Dialect dialect = Dialect::kOpenAi;
};

// A stream while it is relayed. Notes what it used when that ends, by whichever way.
class Gateway::Relayed {
 public:
  // The call is borrowed.
  Relayed(Call& relayed, bool as_it_is);
  ~Relayed() { Note(); }
  Relayed(const Relayed&) = delete;
  Relayed& operator=(const Relayed&) = delete;

  // Does so now, and not again.
  void Note() {
    if (!noted_) call.NoteStream(filter.count());
    noted_ = true;
  }

  Call& call;
  StreamFilter filter;
  const OutputBound bound;  // The call's: near what each event touches.
  const bool verbatim;
  std::unique_ptr<io::Unsent> unsent;  // Of the last piece, where the client is slow.
  bool ends = false;                   // With the last piece.
  bool learned = false;                // What the filter remembers is among the call's companions.

 private:
  bool noted_ = false;
};

}  // namespace penstock::gateway
