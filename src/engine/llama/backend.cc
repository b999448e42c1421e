// Starting llama.cpp: log callback, backends.
#include "engine/llama/backend.h"

#include <fmt/core.h>
#include <ggml-backend.h>
#include <llama.h>

#include <filesystem>
#include <string>
#include <vector>

#include "base/log.h"
#include "engine/llama/own_kernels.h"

namespace penstock::engine {
namespace {

namespace fs = std::filesystem;

// llama.cpp logs in pieces: a line may come in several calls, of which only the first has a level.
// What it says for information is detail to our users.
void ForwardLog(ggml_log_level level, const char* text, void*) {
  thread_local std::string line;
  thread_local ggml_log_level line_level = GGML_LOG_LEVEL_NONE;
  if (level != GGML_LOG_LEVEL_CONT) line_level = level;
  line += text;
  if (!line.ends_with('\n')) return;
  line.pop_back();
  if (line_level == GGML_LOG_LEVEL_ERROR) {
    Log().error("llama: {}", line);
  } else if (line_level == GGML_LOG_LEVEL_WARN) {
    Log().warn("llama: {}", line);
  } else {
    Log().debug("llama: {}", line);
  }
  line.clear();
}

fs::path BesideProgram(const char* relative) {
  std::error_code error;
  const fs::path program = fs::read_symlink("/proc/self/exe", error);
  return error ? fs::path() : program.parent_path() / relative;
}

bool HasCpu() { return ggml_backend_dev_by_type(GGML_BACKEND_DEVICE_TYPE_CPU) != nullptr; }

Status Start() {
  llama_log_set(ForwardLog, nullptr);
  std::vector<std::string> searched;
  if constexpr (std::string_view(PENSTOCK_LLAMA_BACKEND_DIR).empty()) {
    ggml_backend_load_all();
    searched.emplace_back("where the installed ggml looks");
  } else {
    std::error_code ignored;
    const fs::path installed = BesideProgram("../lib");
    for (const fs::path& place : {installed, fs::path(PENSTOCK_LLAMA_BACKEND_DIR)}) {
      if (HasCpu() || !fs::exists(place / "libggml-base.so", ignored)) continue;
      searched.push_back(place.string());
      ggml_backend_load_all_from_path(place.c_str());
    }
  }
  if (!HasCpu()) {
    std::string places;
    for (const std::string& place : searched) places += (places.empty() ? "" : ", ") + place;
    return Fail(Code::kUnavailable,
                fmt::format("no CPU backend of llama.cpp was found in {}; run scripts/setup-llama",
                            places.empty() ? PENSTOCK_LLAMA_BACKEND_DIR : places));
  }
  llama_backend_init();
  UseOwnKernels(true);
  return {};
}

}  // namespace

Status StartBackend() {
  static const Status started = Start();
  return started;
}

std::vector<GpuDevice> GpuDevices() {
  std::vector<GpuDevice> devices;
  for (std::size_t i = 0; i < ggml_backend_dev_count(); ++i) {
    const ggml_backend_dev_t device = ggml_backend_dev_get(i);
    if (ggml_backend_dev_type(device) != GGML_BACKEND_DEVICE_TYPE_GPU) continue;
    std::size_t free = 0;
    std::size_t total = 0;
    ggml_backend_dev_memory(device, &free, &total);
    devices.push_back({ggml_backend_dev_description(device), free});
  }
  return devices;
}

std::string_view LlamaVersion() { return PENSTOCK_LLAMA_VERSION; }

std::string VocabularyDirectory() {
  std::error_code ignored;
  const fs::path installed = BesideProgram("../share/penstock/vocab");
  return fs::is_directory(installed, ignored) ? installed.string() : PENSTOCK_LLAMA_VOCAB_DIR;
}

}  // namespace penstock::engine
