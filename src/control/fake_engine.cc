// fake_engine ADDRESS BEHAVIOUR: a replica without a model, for the tests of the control plane.
//
// "ok" answers /health; "crash" ends at once; "hang" answers /health once and then never; "deaf" is
// "ok" but ignores SIGTERM. /health answers the process id.
#include <fmt/format.h>
#include <signal.h>
#include <unistd.h>

#include <cstdio>
#include <memory>
#include <string>
#include <string_view>

#include "http/server.h"
#include "io/epoll/epoll_loop.h"

namespace penstock {
namespace {

struct Fake {
  io::EpollLoop loop;
  std::string behaviour;
  int answered = 0;
};

io::Task<void> Answer(Fake& fake, http::Exchange& exchange) {
  if (fake.behaviour == "hang" && fake.answered++ > 0) {
    (void)co_await fake.loop.SleepUntil(TimePoint::max());
  }
  (void)co_await exchange.Respond(200, "text/plain", std::to_string(getpid()));
}

int Main(const std::string& address, const std::string& behaviour) {
  if (behaviour == "crash") {
    fmt::print(stderr, "loading\ncannot load: broken on purpose\n");
    return 2;
  }
  if (behaviour == "deaf") signal(SIGTERM, SIG_IGN);
  Fake fake;
  fake.behaviour = behaviour;
  const auto parsed = io::Address::Parse(address);
  auto listener = parsed ? fake.loop.Listen(*parsed, {})
                         : Result<std::unique_ptr<io::Listener>>(Fail(parsed.error()));
  if (!listener) {
    fmt::print(stderr, "{}\n", listener.error().message);
    return 2;
  }
  http::Server server(fake.loop,
                      [&fake](http::Exchange& exchange) { return Answer(fake, exchange); });
  server.Serve(std::move(*listener));
  fake.loop.Run();
  return 0;
}

}  // namespace
}  // namespace penstock

int main(int count, char** arguments) {
  return count == 3 ? penstock::Main(arguments[1], arguments[2]) : 2;
}
