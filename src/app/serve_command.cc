// penstock serve: the server.
#include <memory>

#include "app/command.h"
#include "app/flags.h"
#include "app/serve.h"
#include "hub/pull.h"

namespace penstock::app {

namespace {

// Durations of the limits, as flags give them.
struct LimitSeconds {
  int head_wait_max = 10;
  int body_wait_max = 30;
  int idle_max = 75;
  int write_stall_max = 30;
  int answer_wait_max = 600;
  int answer_stall_max = 120;
};

struct ServeCommandOptions {
  ServeOptions serve;
  LimitSeconds seconds;
  int ledger_keep_days = 93;
};

int Run(ServeCommandOptions& options) {
  using std::chrono::seconds;
  ServeOptions& serve = options.serve;
  serve.limits.head_wait_max = seconds(options.seconds.head_wait_max);
  serve.limits.body_progress_wait_max = seconds(options.seconds.body_wait_max);
  serve.limits.idle_max = seconds(options.seconds.idle_max);
  serve.limits.write_stall_max = seconds(options.seconds.write_stall_max);
  serve.gateway_limits.answer_wait_max = seconds(options.seconds.answer_wait_max);
  serve.gateway_limits.answer_stall_max = seconds(options.seconds.answer_stall_max);
  if (serve.hub_endpoint.empty()) serve.hub_endpoint = hub::EndpointOfUser();
  serve.ledger.keep = std::chrono::days(options.ledger_keep_days);
  Serve server(serve);
  const Status ran = server.Run();
  if (ran) return kExitGood;
  Report(ran.error());
  return kExitUsage;  // Whatever kept it from serving is a start error.
}

void AddLimitFlags(CLI::App& command, ServeCommandOptions& options) {
  http::ServerLimits& limits = options.serve.limits;
  AddFlag(command, "--head-bytes-max", limits.head.bytes_max,
          "Bytes of a request's head; more: 431")
      ->check(CLI::Range(1024, 1 << 20));
  AddFlag(command, "--body-bytes-max", limits.body_bytes_max,
          "Bytes of a request's body; more: 413")
      ->check(CLI::Range(1024, 1 << 30));
  AddFlag(command, "--connections-max", limits.connections_max,
          "Connections per I/O thread; more are told 503")
      ->check(CLI::Range(1, 1 << 20));
  const auto add_seconds = [&command](const char* flag, int& value, const char* help) {
    AddFlag(command, flag, value, help)->check(CLI::Range(1, 86400));
  };
  add_seconds("--head-wait-max-s", options.seconds.head_wait_max,
              "Seconds for a head to arrive whole; longer: 408");
  add_seconds("--body-wait-max-s", options.seconds.body_wait_max,
              "Seconds for each 4 KiB of a body; longer: 408");
  add_seconds("--idle-max-s", options.seconds.idle_max,
              "Seconds that a connection may idle between two requests");
  add_seconds("--write-stall-max-s", options.seconds.write_stall_max,
              "Seconds that a client may leave an answer unread");
  add_seconds("--answer-wait-max-s", options.seconds.answer_wait_max,
              "Seconds for a replica's answer to begin; longer: 504");
  add_seconds("--answer-stall-max-s", options.seconds.answer_stall_max,
              "Seconds between two pieces of a replica's answer");
  AddFlag(command, "--output-overrun-factor", options.serve.gateway_limits.output_overrun_factor,
          "A stream is ended beyond so many times its request's token limit (and 64 deltas); "
          "0: never")
      ->check(CLI::Range(0, 1000));
}

void AddKubernetesFlags(CLI::App& command, FleetOptions& fleet) {
  AddFlag(command, "--kubernetes-deployment", fleet.kubernetes_deployments,
          "Of --fleet kubernetes: MODEL=DEPLOYMENT[/SERVICE][:PORT], whose pods serve the model; "
          "may be repeated");
  AddFlag(command, "--kubernetes-url", fleet.kubernetes.url,
          "Of --fleet kubernetes: the API server's URL; else that of the pod this runs in");
  AddFlag(command, "--kubernetes-namespace", fleet.kubernetes_namespace,
          "Of --fleet kubernetes: where the Deployments are; else the pod's own");
  AddFlag(command, "--kubernetes-token-file", fleet.kubernetes.token_file,
          "Of --fleet kubernetes: file of the bearer token; else the pod's own");
  AddFlag(command, "--kubernetes-ca-file", fleet.kubernetes.ca_file,
          "Of --fleet kubernetes: PEM certificates of the API server; else the pod's own");
}

void AddReplicaFlags(CLI::App& command, ServeOptions& serve) {
  AddFlag(command, "--fleet", serve.fleet.kind,
          "Where replicas run: process (this machine), slurm (batch jobs), kubernetes (pods of "
          "Deployments), exec (your own hook)")
      ->check(CLI::IsMember({"process", "slurm", "kubernetes", "exec"}));
  AddFlag(command, "--fleet-hook", serve.fleet.hook,
          "Of --fleet exec: the program that starts, stops and lists replicas");
  AddFlag(command, "--slurm-host", serve.fleet.slurm_host,
          "Of --fleet slurm: shell text that gives a node's numeric address");
  AddFlag(command, "--slurm-flag", serve.fleet.slurm_flags,
          "Of --fleet slurm: a flag for sbatch, like --partition=gpu; may be repeated");
  AddKubernetesFlags(command, serve.fleet);
  AddFlag(command, "--replica-cores", serve.replica_cores,
          "Cores that each replica has for itself, pinned; 0: all replicas share all cores")
      ->check(CLI::Range(0, 1024));
  AddFlag(command, "--replica-memory-bytes-max", serve.replica_memory_bytes_max,
          "Memory of all replicas together, bytes; 0: nine tenths of the machine's")
      ->check(CLI::NonNegativeNumber);
  AddFlag(command, "--update-wait-max-s", serve.update_wait_max_s,
          "Seconds for a new configuration to become ready; longer: it has failed")
      ->check(CLI::Range(1, 86400));
  AddFlag(command, "--cold-start-wait-max-s", serve.cold_start_wait_max_s,
          "Seconds that requests wait for the first replica of what was scaled to zero; 0: none do")
      ->check(CLI::Range(0, 86400));
  AddFlag(command, "--scale-down-wait-s", serve.scale_down_wait_s,
          "Seconds of less load, before replicas are taken away")
      ->check(CLI::Range(10, 86400));
  AddFlag(command, "--external-ca-file", serve.external_ca_file,
          "PEM certificates that servers of external models may have; else those of the system");
  AddFlag(command, "--price-table", serve.price_table,
          "JSON file of prices per hour, for penstock billing");
}

void AddLedgerFlags(CLI::App& command, ServeCommandOptions& options) {
  AddFlag(command, "--log-payloads", options.serve.log_payloads,
          "NAME: write requests and answers of this endpoint to DATA_DIR/payloads; may be given "
          "more than once");
  AddFlag(command, "--ledger-keep-days", options.ledger_keep_days,
          "Days that usage records are kept")
      ->check(CLI::Range(1, 3660));
  AddFlag(command, "--ledger-bytes-max", options.serve.ledger.bytes_max,
          "Bytes of usage records on disk; beyond it the oldest go first")
      ->check(CLI::Range(std::uint64_t{1} << 20, std::uint64_t{1} << 50));
}

}  // namespace

void AddServeCommand(Program& program) {
  auto options = std::make_shared<ServeCommandOptions>();
  CLI::App* command = program.Add("serve", "Run the server: endpoints, replicas, keys, metrics",
                                  [options] { return Run(*options); });
  ServeOptions& serve = options->serve;
  AddFlag(*command, "--data-dir", serve.data_dir,
          "Folder of everything that lasts; made at first start, with an admin key");
  AddFlag(*command, "--listen", serve.listen, "HOST:PORT (port 0: any free one), or unix:PATH");
  AddSwitch(*command, "--listen-beyond-loopback", serve.listen_beyond_loopback,
            "Allow --listen on an address that other machines reach");
  AddFlag(*command, "--tls-certificate", serve.tls_certificate,
          "PEM file, its chain behind it: speak TLS, and nothing else");
  AddFlag(*command, "--tls-key", serve.tls_key, "PEM file of the certificate's key");
  AddFlag(*command, "--port-file", serve.port_file, "Write the port there once listening");
  AddFlag(*command, "--io-threads", serve.io_threads, "Threads that accept, answer and relay")
      ->check(CLI::Range(1, 256));
  AddFlag(*command, "--busy-wait-max-us", serve.busy_wait_max_us,
          "Microseconds that an I/O thread looks for events before it sleeps, while that pays and "
          "nobody else wants its processor; 0: sleeps at once")
      ->check(CLI::Range(0, 1000));
  AddFlag(*command, "--drain-wait-max-s", serve.drain_wait_max_s,
          "Seconds that running requests get after SIGTERM")
      ->check(CLI::Range(0, 86400));
  AddFlag(*command, "--static-endpoint", serve.static_endpoints,
          "NAME=URL[,URL]: an endpoint on servers that run already (vLLM, llama-server, ...)");
  AddFlag(*command, "--static-health-path", serve.static_health.path,
          "Path that static endpoints' servers answer with 200 when they are well; auto: /health, "
          "else /v1/models; none: they are not asked");
  AddFlag(*command, "--static-policies", serve.static_policies,
          "JSON file of contracts, limits and spill-over for static endpoints");
  AddFlag(*command, "--engine-parallel", serve.engine_parallel, "Slots of each replica")
      ->check(CLI::Range(1, 256));
  AddFlag(*command, "--engine-context-tokens", serve.engine_context_tokens,
          "Context of each slot; 0: the model's own, at most 4096")
      ->check(CLI::NonNegativeNumber);
  AddFlag(*command, "--engine-threads", serve.engine_threads,
          "Threads of each replica; 0: all that it may use")
      ->check(CLI::NonNegativeNumber);
  AddReplicaFlags(*command, serve);
  AddFlag(*command, "--calibrate", serve.calibrate,
          "When models are measured by themselves: first-use, registration or never")
      ->check(CLI::IsMember({"first-use", "registration", "never"}));
  AddFlag(*command, "--hub-endpoint", serve.hub_endpoint,
          "Hub that hf: sources are pulled from; else HF_ENDPOINT, else https://huggingface.co");
  AddLimitFlags(*command, *options);
  AddLedgerFlags(*command, *options);
}

}  // namespace penstock::app
