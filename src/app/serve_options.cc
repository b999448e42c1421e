#include "app/serve_options.h"

#include <algorithm>
#include <chrono>
#include <filesystem>
#include <fstream>
#include <sstream>
#include <string_view>
#include <utility>

#include <fmt/format.h>

namespace penstock::app {

// The flag's check has let only these three pass.
control::CalibratePolicy CalibratePolicyOf(const ServeOptions& options) {
  const std::string& word = options.calibrate;
  if (word == "never") return control::CalibratePolicy::kNever;
  return word == "registration" ? control::CalibratePolicy::kRegistration
                                : control::CalibratePolicy::kFirstUse;
}

fleet::InventorySettings InventoryOf(const ServeOptions& options) {
  // What another scheduler gives out is its own affair.
  if (options.fleet.kind != "process") return {};
  const std::int64_t memory = options.replica_memory_bytes_max > 0
                                  ? options.replica_memory_bytes_max
                                  : fleet::DetectMemoryBytes() / 10 * 9;
  return {.memory_bytes = memory,
          .cores = fleet::DetectCores(),
          .cores_per_replica = options.replica_cores};
}

policy::AutoscaleSettings AutoscaleOf(const ServeOptions& options) {
  policy::AutoscaleSettings settings;
  settings.peak_over = std::chrono::seconds(options.scale_down_wait_s);
  settings.mean_over = std::min(settings.mean_over, settings.peak_over);
  return settings;
}

std::vector<std::string> EngineCommand(const ServeOptions& options,
                                       const control::EngineLaunch& launch) {
  std::string program = std::filesystem::read_symlink("/proc/self/exe").string();
  if (launch.external) {
    std::vector<std::string> relay = {
        std::move(program), "relay", "--upstream=" + launch.external->url,
        "--model=" + launch.external->name, "--listen=" + launch.address};
    const auto add = [&relay](const char* flag, const std::string& value) {
      if (!value.empty()) relay.push_back(fmt::format("{}={}", flag, value));
    };
    add("--key-file", launch.external->key_path);
    add("--key-header", launch.external->key_header);
    add("--organization", launch.external->organization);
    add("--ca-file", options.external_ca_file);
    return relay;
  }
  std::vector<std::string> command = {
      std::move(program),
      "engine",
      "--model=" + launch.model_path,
      "--model-name=" + launch.endpoint_name,
      "--listen=" + launch.address,
      fmt::format("--parallel={}", options.engine_parallel),
      fmt::format("--context-tokens={}", options.engine_context_tokens),
      fmt::format("--threads={}", launch.cores > 0 ? launch.cores : options.engine_threads)};
  if (!launch.system_prompt.empty()) command.push_back("--system-prompt=" + launch.system_prompt);
  return command;
}

Result<std::shared_ptr<const io::TlsContext>> OpenTls(const ServeOptions& options) {
  if (options.tls_certificate.empty() != options.tls_key.empty()) {
    return Fail(Code::kInvalidArgument,
                "--tls-certificate and --tls-key belong together: give both or neither",
                "--tls-key");
  }
  if (options.tls_certificate.empty()) return nullptr;
  return io::TlsContext::ForServer(options.tls_certificate, options.tls_key);
}

// What reads requests, too, says "the body" of a file.
Error ErrorOfFile(const Error& error, const char* flag, const std::string& path) {
  constexpr std::string_view kBody = "the body ";
  std::string_view message = error.message;
  const bool body = message.starts_with(kBody);
  if (body) message.remove_prefix(kBody.size());
  return {error.code, fmt::format("{} {}: {}{}", flag, path, body ? "it " : "", message), flag};
}

Result<control::PriceTable> ReadPrices(const ServeOptions& options) {
  const std::string& path = options.price_table;
  if (path.empty()) return control::PriceTable{};
  std::ifstream file(path);
  std::stringstream text;
  if (!file || !(text << file.rdbuf())) {
    return Fail(Code::kInvalidArgument, fmt::format("--price-table {}: cannot be read", path),
                "--price-table");
  }
  auto prices = control::ParsePriceTable(std::move(text).str());
  if (!prices) {
    return Fail(ErrorOfFile(prices.error(), "--price-table", path));
  }
  return prices;
}

}  // namespace penstock::app
