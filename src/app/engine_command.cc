// penstock engine: one replica: one model behind OpenAI's paths on one socket.
#include <memory>

#include <fmt/format.h>

#include "app/command.h"
#include "app/flags.h"
#include "app/signals.h"
#include "app/version.h"
#include "base/log.h"
#include "engine/engine.h"
#include "engine/face/face.h"
#include "http/server.h"
#include "io/epoll/epoll_loop.h"
#include "io/task_scope.h"

namespace penstock::app {

namespace {

struct EngineCommandOptions {
  engine::EngineOptions engine;
  std::string listen = "127.0.0.1:8485";
  std::string model_name;
  std::string system_prompt;
  std::string flash_attention = "auto";
  std::string kernels = "auto";
  int step_target_ms = 200;
  int drain_wait_max_s = 30;
};

// What the replica's tasks share; outlives them.
struct Replica {
  io::EpollLoop& loop;
  engine::Engine& engine;
  http::Server& server;
  std::unique_ptr<io::Listener> listener;
  Duration drain_wait_max;
  Status ended;
};

io::Task<void> RunReplica(Replica& replica) {
  const std::string address = replica.listener->address().ToString();
  replica.server.Serve(std::move(replica.listener));
  Log().info("engine: {} answers on {} ({} slots of {} tokens, {} threads)",
             replica.engine.model().info().description, address, replica.engine.options().parallel,
             replica.engine.context_tokens(), replica.engine.options().threads);
  const Result<int> signal = co_await WaitForSignal(replica.loop);
  if (!signal) replica.ended = Fail(signal.error());
  Log().info("engine: draining");
  const std::size_t cut =
      co_await replica.server.Drain(Deadline::After(replica.loop.Now(), replica.drain_wait_max));
  if (cut != 0) Log().warn("engine: {} connections were cut", cut);
}

Result<io::Address> CheckListen(const std::string& text) {
  auto address = io::Address::Parse(text);
  if (address && !address->IsLoopback()) {
    return Fail(Code::kInvalidArgument,
                fmt::format("--listen {}: an engine checks no keys, so it listens on loopback or a "
                            "Unix socket only; put `penstock serve` before it",
                            text),
                "--listen");
  }
  return address;
}

// The flag's check has let only these pass.
engine::FlashAttention FlashAttentionOf(const std::string& word) {
  if (word == "on") return engine::FlashAttention::kOn;
  if (word == "prompts") return engine::FlashAttention::kPrompts;
  return word == "off" ? engine::FlashAttention::kOff : engine::FlashAttention::kAuto;
}

// `serving`: set once it has started.
Status Run(EngineCommandOptions& options, bool& serving) {
  const auto address = CheckListen(options.listen);
  if (!address) return Fail(address.error());
  options.engine.flash_attention = FlashAttentionOf(options.flash_attention);
  options.engine.own_kernels = options.kernels == "auto";
  options.engine.step_target = std::chrono::milliseconds(options.step_target_ms);
  BlockSignals();
  io::EpollLoop loop;
  auto listener =
      loop.Listen(*address, {});  // Before the model loads: a taken address costs no time.
  if (!listener) return Fail(listener.error());

  engine::Inbox inbox(loop);
  auto engine = engine::Engine::Start(options.engine, inbox.Sink());
  if (!engine) return Fail(engine.error());
  const engine::ModelInfo& info = (*engine)->model().info();
  engine::Face face(
      loop, **engine, inbox,
      {.model_name = options.model_name.empty() ? info.description : options.model_name,
       .system_prompt = options.system_prompt,
       .version = kVersion});
  http::Server server(loop, [&face](http::Exchange& exchange) { return face.Handle(exchange); });
  Replica replica{.loop = loop,
                  .engine = **engine,
                  .server = server,
                  .listener = std::move(*listener),
                  .drain_wait_max = std::chrono::seconds(options.drain_wait_max_s),
                  .ended = {}};
  serving = true;
  io::RunBlocking(loop, RunReplica(replica));
  return replica.ended;
}

}  // namespace

void AddEngineCommand(Program& program) {
  auto options = std::make_shared<EngineCommandOptions>();
  CLI::App* command = program.Add(
      "engine", "Run one replica: one GGUF model behind OpenAI's paths, without keys", [options] {
        bool serving = false;
        const Status ran = Run(*options, serving);
        if (ran) return kExitGood;
        const int code = Report(ran.error());
        return serving ? code : kExitUsage;
      });
  engine::EngineOptions& engine = options->engine;
  AddFlag(*command, "--model", engine.model_path, "GGUF file to serve")->required();
  AddFlag(*command, "--model-name", options->model_name, "Name in /v1/models; else the file's");
  AddFlag(*command, "--system-prompt", options->system_prompt,
          "Put in front of chats that have no system message of their own");
  AddFlag(*command, "--listen", options->listen,
          "HOST:PORT on loopback (port 0: any free one), or unix:PATH");
  AddFlag(*command, "--parallel", engine.parallel, "Requests that run at once (slots)")
      ->check(CLI::Range(1, engine::kParallelMax));
  AddFlag(*command, "--context-tokens", engine.context_tokens,
          "Context of each slot; 0: the model's own, at most 4096");
  AddFlag(*command, "--queued-max", engine.queued_max,
          "Requests that wait beyond those; more are refused with 503")
      ->check(CLI::NonNegativeNumber);
  AddFlag(*command, "--step-tokens-max", engine.step_tokens_max,
          "Tokens in one step, whatever its time")
      ->check(CLI::Range(1, engine::kStepTokensMax));
  AddFlag(*command, "--step-target-ms", options->step_target_ms,
          "Time of a step while tokens stream: prompts are cut to keep it; 0: no such bound")
      ->check(CLI::Range(0, 60'000));
  AddFlag(*command, "--micro-batch", engine.micro_batch, "Tokens in one pass over the weights")
      ->check(CLI::PositiveNumber);
  AddFlag(*command, "--threads", engine.threads,
          "Threads that compute, at most; 0: one for each core that we may use")
      ->check(CLI::NonNegativeNumber);
  AddFlag(*command, "--flash-attention", options->flash_attention,
          "on, off, prompts (for long prompts only), or auto: as measured at the start")
      ->check(CLI::IsMember({"auto", "on", "off", "prompts"}));
  AddFlag(*command, "--kernels", options->kernels,
          "auto: our own for Q8_0 and attention where the processor has AVX-512 VNNI; llama: "
          "llama.cpp's")
      ->check(CLI::IsMember({"auto", "llama"}));
  AddFlag(*command, "--gpu-layers", engine.gpu_layers,
          "Layers on a GPU; -1: as many as fit where there is one; 0: none")
      ->check(CLI::Range(-1, 1 << 16));
  AddFlag(*command, "--prefix-cache-mib", engine.prefix_cache_mebibytes,
          "Memory for prompts' beginnings, to be reused; 0: every prompt is computed whole")
      ->check(CLI::Range(0, 1 << 24));
  AddFlag(*command, "--seed", engine.seed,
          "Seed of requests that bring none; 0: a new one each start");
  AddFlag(*command, "--drain-wait-max-s", options->drain_wait_max_s,
          "Seconds that running requests get after SIGTERM")
      ->check(CLI::NonNegativeNumber);
}

}  // namespace penstock::app
