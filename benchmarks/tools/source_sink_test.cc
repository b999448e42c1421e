// Source and sink against each other, over real sockets: what one sends and writes down, the other
// must count.
#include <gtest/gtest.h>

#include <cstdio>
#include <cstdlib>
#include <memory>
#include <string>
#include <vector>

#include "http_message.h"
#include "poller.h"
#include "sink.h"
#include "source.h"

namespace measure {
namespace {

constexpr int kStreams = 5;
constexpr int kFramingEvents = 3;  // Role, finish reason, [DONE].

std::optional<std::string> Once(std::vector<bool>& asked, int connection, const std::string& more) {
  if (asked[static_cast<std::size_t>(connection)]) return std::nullopt;
  asked[static_cast<std::size_t>(connection)] = true;
  return R"({"stream":true,"user":"stream-)" + std::to_string(connection) + "\"" + more + "}";
}

void RunToTheEnd(Poller& poller, Source& source, Sink& sink) {
  const Nanoseconds limit = Now() + std::chrono::seconds(30);
  while (!sink.all_finished() && Now() < limit) {
    sink.OpenMore();
    poller.Poll(source.SendDue());
  }
  EXPECT_TRUE(sink.all_finished());
  EXPECT_EQ(sink.totals().failures, 0) << sink.first_failure();
}

TEST(SourceAndSink, PacedStreamsArriveWholeAndTheTruthIsWrittenDown) {
  char* text = nullptr;
  std::size_t size = 0;
  std::unique_ptr<std::FILE, int (*)(std::FILE*)> truth(open_memstream(&text, &size), std::fclose);
  Poller poller;
  Source source(poller, {.pace = SourceOptions::Pace::kGap,
                         .gap = std::chrono::milliseconds(1),
                         .first_token_min = std::chrono::milliseconds(2),
                         .first_token_max = std::chrono::milliseconds(4),
                         .truth = truth.get()});
  std::vector<bool> asked(kStreams, false);
  SinkOptions options{.port = source.port(), .connections = kStreams};
  options.next_body = [&](int connection) { return Once(asked, connection, ",\"max_tokens\":6"); };
  Sink sink(poller, options);
  RunToTheEnd(poller, source, sink);
  EXPECT_EQ(sink.totals().events, kStreams * (6 + kFramingEvents));
  EXPECT_EQ(source.tokens_sent(), kStreams * 6);

  truth.reset();  // Completes the text.
  const std::unique_ptr<char, void (*)(void*)> lines(text, std::free);
  std::string_view rest(lines.get(), size);
  int streams = 0;
  for (; !rest.empty(); rest.remove_prefix(rest.find('\n') + 1), ++streams) {
    const std::string_view line = rest.substr(0, rest.find('\n'));
    EXPECT_EQ(JsonNumber(line, "output_tokens"), 6);
    const long arrived = JsonNumber(line, "arrived_ns").value_or(0);
    EXPECT_GE(JsonNumber(line, "first_token_ns").value_or(0), arrived + 2'000'000);
    EXPECT_GE(JsonNumber(line, "last_token_ns").value_or(0),
              JsonNumber(line, "first_token_ns").value_or(0));
  }
  EXPECT_EQ(streams, kStreams);
}

TEST(SourceAndSink, AGrantBringsOneWriteAndOneRead) {
  constexpr long kRounds = 50;
  Poller poller;
  Source source(poller, {.pace = SourceOptions::Pace::kGrant});
  std::vector<bool> asked(kStreams, false);
  SinkOptions options{.port = source.port(), .connections = kStreams};
  options.next_body = [&](int connection) { return Once(asked, connection, ""); };
  options.on_events = [&](int connection, int events) {
    EXPECT_EQ(events, 1);
    if (source.tokens_sent() < kRounds * kStreams) source.Grant(connection, 1);
    if (source.tokens_sent() == kRounds * kStreams) source.FinishAll();
  };
  Sink sink(poller, options);
  RunToTheEnd(poller, source, sink);
  EXPECT_EQ(sink.totals().events, kStreams * kFramingEvents + kRounds * kStreams);
  EXPECT_EQ(sink.totals().responses, kStreams);
}

}  // namespace
}  // namespace measure
