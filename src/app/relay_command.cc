// penstock relay: one replica of an external model, behind the same paths as an engine.
#include <memory>

#include <fmt/format.h>

#include "app/command.h"
#include "app/external_relay.h"
#include "app/flags.h"
#include "app/signals.h"
#include "base/log.h"
#include "http/server.h"
#include "io/epoll/epoll_loop.h"
#include "io/task_scope.h"

namespace penstock::app {
namespace {

struct RelayCommandOptions {
  ExternalRelaySettings relay;
  std::string listen = "127.0.0.1:8486";
  int drain_wait_max_s = 30;
};

// What the relay's tasks share; outlives them.
struct Running {
  io::EpollLoop& loop;
  http::Server& server;
  std::unique_ptr<io::Listener> listener;
  Duration drain_wait_max;
  Status ended;
};

io::Task<void> RunRelay(Running& running) {
  running.server.Serve(std::move(running.listener));
  const Result<int> signal = co_await WaitForSignal(running.loop);
  if (!signal) running.ended = Fail(signal.error());
  const std::size_t cut =
      co_await running.server.Drain(Deadline::After(running.loop.Now(), running.drain_wait_max));
  if (cut != 0) Log().warn("relay: {} connections were cut", cut);
}

Status Run(const RelayCommandOptions& options) {
  const auto address = io::Address::Parse(options.listen);
  if (!address) return Fail(address.error());
  if (!address->IsLoopback()) {
    return Fail(Code::kInvalidArgument,
                fmt::format("--listen {}: a relay checks no keys, so it listens on loopback or a "
                            "Unix socket only; put `penstock serve` before it",
                            options.listen),
                "--listen");
  }
  BlockSignals();
  io::EpollLoop loop;
  auto listener = loop.Listen(*address, {});
  if (!listener) return Fail(listener.error());
  auto relay = ExternalRelay::Open(loop, options.relay);
  if (!relay) return Fail(relay.error());
  http::Server server(loop,
                      [&relay](http::Exchange& exchange) { return (*relay)->Handle(exchange); });
  Log().info("relay: {} as {} on {}", options.relay.model, options.relay.upstream,
             (*listener)->address().ToString());
  Running running{.loop = loop,
                  .server = server,
                  .listener = std::move(*listener),
                  .drain_wait_max = std::chrono::seconds(options.drain_wait_max_s),
                  .ended = {}};
  io::RunBlocking(loop, RunRelay(running));
  return running.ended;
}

}  // namespace

void AddRelayCommand(Program& program) {
  auto options = std::make_shared<RelayCommandOptions>();
  CLI::App* command = program.Add(
      "relay", "Run one replica of an external model: passes requests on, with its key", [options] {
        const Status ran = Run(*options);
        return ran ? kExitGood : Report(ran.error());
      });
  AddFlag(*command, "--upstream", options->relay.upstream,
          "Base URL of an API like OpenAI's: https://HOST/v1")
      ->required();
  AddFlag(*command, "--model", options->relay.model, "The model's name there")->required();
  AddFlag(*command, "--key-file", options->relay.key_file,
          "File with the key that is sent as a bearer token; none: no key");
  AddFlag(*command, "--key-header", options->relay.key_header,
          "Header that carries the key in place of 'authorization: Bearer': api-key for Azure");
  AddFlag(*command, "--organization", options->relay.organization, "Sent as openai-organization");
  AddFlag(*command, "--ca-file", options->relay.ca_file,
          "PEM certificates to trust; else those of the system");
  AddFlag(*command, "--listen", options->listen, "HOST:PORT on loopback, or unix:PATH");
  AddFlag(*command, "--drain-wait-max-s", options->drain_wait_max_s,
          "Seconds that running requests get after SIGTERM")
      ->check(CLI::Range(0, 3600));
}

}  // namespace penstock::app
