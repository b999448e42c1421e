#include "app/bench_agent_command.h"

#include <cstdio>
#include <memory>
#include <string>

#include <fmt/format.h>

#include "app/flags.h"
#include "app/signals.h"
#include "bench/agents/agent.h"
#include "bench/agents/agent_identity.h"
#include "http/server.h"
#include "io/epoll/epoll_loop.h"
#include "io/task_scope.h"

namespace penstock::app {

namespace {

// Bodies of orders are small; a data set lies on the agent itself.
constexpr Duration kDrainWaitMax = std::chrono::seconds(2);

struct AgentCommandOptions {
  std::string listen = "127.0.0.1:9700";
  std::string key;
  bool tls = false;
};

io::Task<void> Serve(io::Loop& loop, http::Server& server, std::unique_ptr<io::Listener> listener) {
  fmt::print("{}{}\n", kAgentAnnouncement, listener->address().ToString());
  std::fflush(stdout);
  server.Serve(std::move(listener));
  static_cast<void>(co_await WaitForSignal(loop));
  static_cast<void>(co_await server.Drain(Deadline::After(loop.Now(), kDrainWaitMax)));
}

Status Run(const AgentCommandOptions& options) {
  const auto address = io::Address::Parse(options.listen);
  if (!address) return Fail(address.error());
  if (auto safe = bench::Agent::CheckListen(*address, options.key); !safe) return safe;
  BlockSignals();
  io::EpollLoop loop;
  io::ListenOptions listen;
  if (options.tls || !address->IsLoopback()) {
    auto secured = bench::AgentServerTls(options.key);
    if (!secured) return Fail(secured.error());
    listen.tls = std::move(*secured);
  }
  auto listener = loop.Listen(*address, listen);
  if (!listener) return Fail(listener.error());
  bench::Agent agent(loop, options.key);
  http::Server server(loop, agent.handler());
  io::RunBlocking(loop, Serve(loop, server, std::move(*listener)));
  return {};
}

}  // namespace

void AddBenchAgentCommand(Program& program, CLI::App& bench) {
  auto options = std::make_shared<AgentCommandOptions>();
  CLI::App* command = program.Add(
      "agent", "Send load for a coordinator: what `penstock bench --agents` connects to",
      [options] {
        const Status ran = Run(*options);
        return ran ? kExitGood : Report(ran.error());
      },
      &bench);
  command->footer("");  // Not the examples of `bench`.
  AddFlag(*command, "--listen", options->listen, "HOST:PORT; other than loopback only with a key");
  AddFlag(*command, "--agent-key", options->key,
          "What a coordinator must show, 16 bytes or more between machines; better as "
          "PENSTOCK_AGENT_KEY");
  AddSwitch(
      *command, "--agent-tls", options->tls,
      "Encrypt on loopback, too; elsewhere always, with a certificate that the key stands for");
}

}  // namespace penstock::app
