// Source: connections, pacing and the log of truth.
#include "source.h"

#include <sys/epoll.h>

#include <algorithm>

#include "answers.h"
#include "http_message.h"
#include "source_connection.h"

namespace measure {
namespace {

constexpr Nanoseconds kIdle = std::chrono::milliseconds(100);
constexpr int kSendsPerTurn = 256;

// The number in `"user":"stream-NUMBER"`, or -1.
int StreamNumber(std::string_view body) {
  constexpr std::string_view kKey = "\"user\":\"stream-";
  const std::size_t found = body.find(kKey);
  if (found == std::string_view::npos) return -1;
  return std::atoi(body.data() + found + kKey.size());
}

}  // namespace

Source::Source(Poller& poller, SourceOptions options)
    : poller_(poller),
      options_(options),
      write_(TokenEvents(options.events_per_write)),
      listener_(ListenOnLoopback(options.port, options.truth != nullptr)),
      port_(PortOf(listener_)) {
  poller_.Watch(listener_, EPOLLIN, this);
}

Source::~Source() = default;

void Source::OnReady(std::uint32_t /*events*/) {
  for (Socket socket = Accept(listener_); socket.valid(); socket = Accept(listener_)) {
    if (idle_slots_.empty()) {
      connections_.push_back(std::make_unique<Connection>(poller_));
      Connection& added = *connections_.back();
      added.on_request = [this, &added](const Request& request) { Answer(added, request); };
      added.on_stream_end = [this, &added] {
        by_number_.erase(added.stream.number);
        WriteTruth(added);
      };
      added.on_close = [this, &added] { idle_slots_.push_back(&added); };
      idle_slots_.push_back(&added);
    }
    Connection& connection = *idle_slots_.back();
    idle_slots_.pop_back();
    connection.Open(std::move(socket));
  }
}

void Source::Answer(Connection& connection, const Request& request) {
  if (request.path == "/health") {
    connection.Send(JsonAnswer("200 OK", R"({"status":"ok"})"));
  } else if (request.path == "/v1/models") {
    connection.Send(JsonAnswer("200 OK", ModelList()));
  } else if (request.method != "POST" || !request.path.ends_with("completions")) {
    connection.Send(JsonAnswer("404 Not Found", NotFound()));
  } else if (JsonTrue(request.body, "stream")) {
    StartStream(connection, request);
  } else {
    connection.Send(
        JsonAnswer("200 OK", Completion(static_cast<long>(request.body.size()) / 4, 20)));
  }
}

void Source::StartStream(Connection& connection, const Request& request) {
  const auto limit = JsonNumber(request.body, "max_completion_tokens");
  Stream& stream = connection.stream;
  stream = Stream{
      .running = true,
      .number = StreamNumber(request.body),
      .serial = ++streams_started_,
      .with_usage = JsonTrue(request.body, "include_usage"),
      .prompt_tokens = static_cast<long>(request.body.size()) / 4,
      .tokens_left =
          limit.value_or(JsonNumber(request.body, "max_tokens").value_or(options_.tokens)),
      .request_id = std::string(HeaderValue(request.head, "x-request-id")),
      .arrived_at = connection.arrived_at(),
      .keep_times = options_.keep_times,
  };
  if (stream.keep_times) {
    stream.written_at.reserve(static_cast<std::size_t>(std::max(stream.tokens_left, 0L)));
    stream.returned_at.reserve(stream.written_at.capacity());
  }
  if (stream.number >= 0) by_number_[stream.number] = &connection;
  connection.Send(StreamHead());
  if (options_.pace == SourceOptions::Pace::kGap) {
    due_.push(Due{stream.arrived_at + FirstTokenDelay(), &connection, stream.serial});
  }
}

Nanoseconds Source::FirstTokenDelay() {
  // Steps by the golden ratio, so that any run of consecutive streams is spread evenly.
  const double position = static_cast<double>(streams_started_) * 0.6180339887498949;
  const double fraction = position - static_cast<double>(static_cast<long>(position));
  const auto range =
      static_cast<double>((options_.first_token_max - options_.first_token_min).count());
  return options_.first_token_min + Nanoseconds(static_cast<long>(fraction * range));
}

// A write to each stream that can take one. Returns whether there was any.
bool Source::SendToAll() {
  bool sent = false;
  for (const auto& connection : connections_) {
    if (!connection->stream.running || connection->blocked()) continue;
    sent = true;
    connection->SendTokens(write_, options_.events_per_write);
    tokens_sent_ += options_.events_per_write;
  }
  return sent;
}

Nanoseconds Source::SendRound() {
  const Nanoseconds now = Now();
  if (now < next_round_) return next_round_ - now;
  next_round_ = std::max(next_round_ + options_.gap, now);
  return SendToAll() ? Nanoseconds(0) : kIdle;
}

Nanoseconds Source::SendDue() {
  if (options_.pace == SourceOptions::Pace::kFlatOut) {
    return SendToAll() ? Nanoseconds(0) : kIdle;
  }
  if (options_.pace == SourceOptions::Pace::kRounds) return SendRound();
  // Not all at once: a source that has fallen behind must still read and tell.
  const Nanoseconds now = Now();
  for (int sends = 0; sends < kSendsPerTurn && !due_.empty() && due_.top().at <= now; ++sends) {
    const Due due = due_.top();
    due_.pop();
    Connection& connection = *due.connection;
    if (!connection.stream.running || connection.stream.serial != due.stream) continue;
    const bool more = connection.SendTokens(write_, options_.events_per_write);
    tokens_sent_ += options_.events_per_write;
    if (more) due_.push(Due{due.at + options_.gap, &connection, due.stream});
  }
  if (due_.empty()) return kIdle;
  return std::clamp(due_.top().at - Now(), Nanoseconds(0), kIdle);
}

void Source::Grant(int number, int events) {
  const auto found = by_number_.find(number);
  if (found == by_number_.end() || !found->second->stream.running) return;
  if (events != granted_events_) granted_write_ = TokenEvents(events);
  granted_events_ = events;
  found->second->SendTokens(granted_write_, events);
  tokens_sent_ += events;
}

void Source::FinishAll() {
  for (const auto& connection : connections_) {
    if (connection->stream.running) connection->FinishStream();
  }
}

void Source::WriteTruth(const Connection& connection) {
  if (options_.truth == nullptr) return;
  const Stream& stream = connection.stream;
  std::fprintf(options_.truth,
               "{\"request_id\":\"%s\",\"serial\":%lu,\"prompt_tokens\":%ld,\"output_tokens\":%ld,"
               "\"arrived_ns\":%ld,\"first_token_ns\":%ld,\"last_token_ns\":%ld,\"finished\":%s",
               stream.request_id.c_str(), stream.serial, stream.prompt_tokens, stream.tokens_sent,
               stream.arrived_at.count(), stream.first_token_at.count(),
               stream.last_token_at.count(), stream.tokens_left <= 0 ? "true" : "false");
  const auto list = [this](const char* name, const std::vector<Nanoseconds>& times) {
    std::fprintf(options_.truth, ",\"%s\":[", name);
    for (std::size_t i = 0; i < times.size(); ++i) {
      std::fprintf(options_.truth, "%s%ld", i > 0 ? "," : "", times[i].count());
    }
    std::fputs("]", options_.truth);
  };
  if (stream.keep_times) {
    list("written_ns", stream.written_at);
    list("returned_ns", stream.returned_at);
  }
  std::fputs("}\n", options_.truth);
}

}  // namespace measure
