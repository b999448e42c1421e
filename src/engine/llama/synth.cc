// Writing a synthetic model to disk.
#include "engine/llama/synth.h"

#include <fmt/core.h>
#include <ggml.h>
#include <gguf.h>
#include <unistd.h>

#include <algorithm>
#include <atomic>
#include <cerrno>
#include <cstdio>
#include <cstring>
#include <filesystem>

#include "engine/llama/synth_layout.h"
#include "engine/llama/synth_weights.h"

namespace penstock::engine {
namespace {

struct GgmlDeleter {
  void operator()(ggml_context* context) const { ggml_free(context); }
};

struct FileCloser {
  void operator()(std::FILE* file) const { std::fclose(file); }
};

// A file that vanishes unless it was brought to its place.
class TemporaryFile {
 public:
  explicit TemporaryFile(const std::string& path)
      : path_(path),
        temporary_(fmt::format("{}.{}.tmp", path, getpid())),
        file_(std::fopen(temporary_.c_str(), "wb")) {}
  TemporaryFile(const TemporaryFile&) = delete;
  TemporaryFile& operator=(const TemporaryFile&) = delete;
  ~TemporaryFile() {
    if (!placed_ && file_ != nullptr) std::remove(temporary_.c_str());
  }

  bool open() const { return file_ != nullptr; }
  bool Write(const void* data, std::size_t bytes) {
    written_ += bytes;
    return std::fwrite(data, 1, bytes, file_.get()) == bytes;
  }
  bool PadTo(std::uint64_t offset) {
    static constexpr char kZeros[4096] = {};
    while (written_ < offset) {
      const auto bytes = static_cast<std::size_t>(std::min<std::uint64_t>(offset - written_, 4096));
      if (!Write(kZeros, bytes)) return false;
    }
    return true;
  }
  bool Place() {
    if (std::fflush(file_.get()) != 0) return false;
    placed_ = std::rename(temporary_.c_str(), path_.c_str()) == 0;
    return placed_;
  }
  std::uint64_t written() const { return written_; }

 private:
  std::string path_;
  std::string temporary_;
  std::unique_ptr<std::FILE, FileCloser> file_;
  std::uint64_t written_ = 0;
  bool placed_ = false;
};

std::unexpected<Error> FileError(const std::string& path, int error) {
  const Code code = error == ENOSPC || error == EDQUOT    ? Code::kExhausted
                    : error == ENOENT || error == ENOTDIR ? Code::kNotFound
                    : error == EACCES || error == EROFS   ? Code::kForbidden
                                                          : Code::kInternal;
  return Fail(code, fmt::format("{}: {}", path, std::strerror(error)), "output");
}

// Announces the tensors in `target`; returns how many parameters they have.
std::uint64_t AnnounceTensors(const std::vector<TensorPlan>& plans, Quantization quantization,
                              gguf_context* target) {
  const std::unique_ptr<ggml_context, GgmlDeleter> context(
      ggml_init({.mem_size = ggml_tensor_overhead() * (plans.size() + 1),
                 .mem_buffer = nullptr,
                 .no_alloc = true}));
  std::uint64_t parameters = 0;
  for (const TensorPlan& plan : plans) {
    const ggml_type type = TypeOf(plan, quantization);
    ggml_tensor* tensor =
        plan.shape[1] == 0 ? ggml_new_tensor_1d(context.get(), type, plan.shape[0])
                           : ggml_new_tensor_2d(context.get(), type, plan.shape[0], plan.shape[1]);
    ggml_set_name(tensor, plan.name.c_str());
    gguf_add_tensor(target, tensor);
    parameters += static_cast<std::uint64_t>(ggml_nelements(tensor));
  }
  return parameters;
}

bool WriteAll(const SynthSpec& spec, const SynthVocabulary& vocabulary,
              const std::vector<TensorPlan>& plans, const gguf_context* meta, TemporaryFile& file,
              const std::atomic<bool>* stop) {
  std::vector<std::uint8_t> head(gguf_get_meta_size(meta));
  gguf_get_meta_data(meta, head.data());
  if (!file.Write(head.data(), head.size())) return false;
  for (std::size_t i = 0; i < plans.size(); ++i) {
    const auto index = static_cast<std::int64_t>(i);
    if (!file.PadTo(head.size() + gguf_get_tensor_offset(meta, index))) return false;
    const WeightOptions options{spec.quantization, spec.tied, spec.seed, i};
    const bool written = MakeWeights(plans[i], vocabulary, options,
                                     [&file, stop](std::span<const std::uint8_t> bytes) {
                                       const bool stopped = stop != nullptr && stop->load();
                                       return !stopped && file.Write(bytes.data(), bytes.size());
                                     });
    if (!written) return false;
  }
  const std::uint64_t alignment = gguf_get_alignment(meta);
  return file.PadTo((file.written() + alignment - 1) / alignment * alignment);
}

}  // namespace

Result<SynthReport> SynthesizeModel(const SynthSpec& spec, const std::string& path,
                                    const std::atomic<bool>* stop) {
  if (Status ok = ValidateSpec(spec); !ok) return Fail(ok.error());
  const GgufHandle meta(gguf_init_empty());
  auto vocabulary = CopyVocabulary(spec.vocabulary, meta.get());
  if (!vocabulary) return Fail(std::move(vocabulary.error()));
  SetArchitectureKeys(spec, vocabulary->size, meta.get());
  if (!spec.chat_template.empty()) {
    gguf_set_val_str(meta.get(), "tokenizer.chat_template", spec.chat_template.c_str());
  }
  const std::vector<TensorPlan> plans = PlanTensors(spec, vocabulary->size);
  SynthReport report;
  report.parameters = AnnounceTensors(plans, spec.quantization, meta.get());
  TemporaryFile file(path);
  if (!file.open()) return FileError(path, errno);
  if (!WriteAll(spec, *vocabulary, plans, meta.get(), file, stop) || !file.Place()) {
    if (stop != nullptr && stop->load()) {
      return Fail(Code::kCancelled, fmt::format("{}: stopped, and nothing is left of it", path));
    }
    return FileError(path, errno);
  }
  report.bytes = file.written();
  return report;
}

}  // namespace penstock::engine
