#include "bench/null_server.h"

#include <fmt/format.h>

#include <algorithm>
#include <charconv>
#include <utility>

namespace penstock::bench {
namespace {

constexpr std::size_t kSaltBytes = 12;
constexpr std::string_view kToken =
    "data: {\"id\":\"null\",\"object\":\"chat.completion.chunk\",\"choices\":[{\"index\":0,"
    "\"delta\":{\"content\":\" token\"},\"finish_reason\":null}]}\n\n";

// The number behind `key` in a body of our own client; 0 where there is none.
int NumberBehind(std::string_view body, std::string_view key) {
  const auto at = body.find(key);
  if (at == std::string_view::npos) return 0;
  int number = 0;
  std::from_chars(body.data() + at + key.size(), body.data() + body.size(), number);
  return number;
}

}  // namespace

NullServer::~NullServer() {
  if (!thread_.joinable()) return;
  loop_.Post([this] { end_.Set(); });
  thread_.join();
}

Status NullServer::Start() {
  auto listener = loop_.Listen({.host = "127.0.0.1", .port = 0}, {});
  if (!listener) return Fail(listener.error());
  port_ = (*listener)->address().port;
  thread_ = std::jthread([this, taken = std::move(*listener)]() mutable {
    io::RunBlocking(loop_, Serve(*this, std::move(taken)));
  });
  return {};
}

std::string NullServer::url() const { return fmt::format("http://127.0.0.1:{}/v1", port_); }

io::Task<void> NullServer::Serve(NullServer& server, std::unique_ptr<io::Listener> listener) {
  http::Server http(server.loop_,
                    [&server](http::Exchange& exchange) { return Answer(server, exchange); });
  http.Serve(std::move(listener));
  static_cast<void>(co_await server.end_.Wait(Deadline::Never()));
  http.Stop();
  co_await http.Join();
}

io::Task<void> NullServer::Answer(NullServer& server, http::Exchange& exchange) {
  const auto body = co_await exchange.ReadBody();
  if (!body) co_return;
  if (exchange.head().path == "/tokenize") {
    static_cast<void>(co_await exchange.Respond(404, "application/json", "{}"));
    co_return;
  }
  constexpr std::string_view kContent = "\"content\":\"";
  const auto at = body->find(kContent);
  const std::string salt(at == std::string_view::npos
                             ? std::string_view()
                             : body->substr(at + kContent.size(), kSaltBytes));
  const int tokens = NumberBehind(*body, "\"max_tokens\":");
  exchange.ReleaseRequest();
  co_await server.Stream(exchange, salt, tokens);
}

io::Task<void> NullServer::Stream(http::Exchange& exchange, std::string salt, int tokens) {
  NullTruth truth{.arrived = exchange.arrived_at()};
  truth.written.reserve(static_cast<std::size_t>(std::max(tokens, 0)));
  // A golden-ratio walk: evenly spread, whatever the number of streams.
  const double place = static_cast<double>(streams_++ * 618'033'989 % 1'000'000'000) * 1e-9;
  const auto spread =
      static_cast<std::int64_t>(place * static_cast<double>(settings_.first_token_spread.count()));
  const TimePoint first = truth.arrived + settings_.first_token + Duration(spread);
  exchange.StartStream(200, "text/event-stream");
  for (int token = 0; token < tokens; ++token) {
    if (!co_await loop_.SleepUntil(first + token * settings_.gap)) co_return;
    truth.written.push_back(loop_.Now());
    if (!co_await exchange.WriteChunk(kToken)) co_return;
  }
  const std::string end = fmt::format(
      "data: {{\"choices\":[{{\"index\":0,\"delta\":{{}},\"finish_reason\":\"length\"}}],\"usage\":"
      "{{\"prompt_tokens\":100,\"completion_tokens\":{}}}}}\n\ndata: [DONE]\n\n",
      tokens);
  {
    const std::lock_guard lock(mutex_);
    truth_[salt] = std::move(truth);
  }
  static_cast<void>(co_await exchange.Finish(end));
}

std::unordered_map<std::string, NullTruth> NullServer::TakeTruth() {
  const std::lock_guard lock(mutex_);
  return std::exchange(truth_, {});
}

}  // namespace penstock::bench
