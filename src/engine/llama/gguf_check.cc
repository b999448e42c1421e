// Parsing the head of a GGUF file with suspicion.
#include "engine/llama/gguf_check.h"

#include <fmt/core.h>
#include <ggml.h>

#include <algorithm>
#include <array>
#include <bit>
#include <limits>
#include <map>
#include <set>
#include <string_view>
#include <variant>

#include "engine/llama/gguf_reader.h"

namespace penstock::engine {
namespace {

constexpr std::uint64_t kKeysMax = 1u << 16;
constexpr std::uint64_t kTensorsMax = 1u << 20;
constexpr std::uint64_t kDefaultAlignment = 32;

struct Array {
  GgufType type;
  std::uint64_t size;
  std::uint64_t greatest;  // Of integer elements; 0 for others.
};
using Value = std::variant<std::uint64_t, double, std::string_view, Array>;
using Keys = std::map<std::string_view, Value>;

std::unexpected<Error> Corrupt(std::string message) {
  return Fail(Code::kCorrupt, std::move(message));
}

std::unexpected<Error> CutOff(const GgufReader& reader, std::string_view where) {
  return Corrupt(fmt::format("the file ends within its {} (at byte {}): it is cut off or damaged",
                             where, reader.offset()));
}

// One number; negative integers become 0, which no key of ours may be.
std::optional<Value> TakeScalar(GgufReader& reader, GgufType type) {
  const auto number = [](auto taken) -> std::optional<Value> {
    if (!taken) return std::nullopt;
    return *taken > 0 ? static_cast<std::uint64_t>(*taken) : std::uint64_t{0};
  };
  switch (type) {
    case GgufType::kUint8:
    case GgufType::kBool:
      return number(reader.Take<std::uint8_t>());
    case GgufType::kInt8:
      return number(reader.Take<std::int8_t>());
    case GgufType::kUint16:
      return number(reader.Take<std::uint16_t>());
    case GgufType::kInt16:
      return number(reader.Take<std::int16_t>());
    case GgufType::kUint32:
      return number(reader.Take<std::uint32_t>());
    case GgufType::kInt32:
      return number(reader.Take<std::int32_t>());
    case GgufType::kUint64:
      return number(reader.Take<std::uint64_t>());
    case GgufType::kInt64:
      return number(reader.Take<std::int64_t>());
    case GgufType::kFloat32: {
      const auto taken = reader.Take<float>();
      return taken ? std::optional<Value>(static_cast<double>(*taken)) : std::nullopt;
    }
    case GgufType::kFloat64: {
      const auto taken = reader.Take<double>();
      return taken ? std::optional<Value>(*taken) : std::nullopt;
    }
    case GgufType::kString: {
      const auto taken = reader.TakeString();
      return taken ? std::optional<Value>(*taken) : std::nullopt;
    }
    case GgufType::kArray:
      break;
  }
  return std::nullopt;
}

bool IsValueType(std::uint32_t type) {
  return type <= static_cast<std::uint32_t>(GgufType::kFloat64);
}

Result<Value> TakeArray(GgufReader& reader, std::string_view key) {
  const auto type = reader.Take<std::uint32_t>();
  const auto size = reader.Take<std::uint64_t>();
  if (!type || !size) return CutOff(reader, "metadata");
  if (!IsValueType(*type) || *type == static_cast<std::uint32_t>(GgufType::kArray)) {
    return Corrupt(
        fmt::format("array '{}' has elements of type {}, which does not exist", key, *type));
  }
  if (*size > reader.left()) return CutOff(reader, "metadata");
  Array array{static_cast<GgufType>(*type), *size, 0};
  for (std::uint64_t i = 0; i < *size; ++i) {
    const auto element = TakeScalar(reader, array.type);
    if (!element) return CutOff(reader, "metadata");
    if (const auto* number = std::get_if<std::uint64_t>(&*element)) {
      array.greatest = std::max(array.greatest, *number);
    }
  }
  return array;
}

Result<Keys> TakeKeys(GgufReader& reader, std::uint64_t count) {
  Keys keys;
  for (std::uint64_t i = 0; i < count; ++i) {
    const auto key = reader.TakeString();
    const auto type = reader.Take<std::uint32_t>();
    if (!key || !type) return CutOff(reader, "metadata");
    if (key->empty()) return Corrupt(fmt::format("metadata entry {} has an empty name", i));
    if (!IsValueType(*type)) {
      return Corrupt(
          fmt::format("metadata entry {} is of type {}, which does not exist", i, *type));
    }
    Value value;
    if (*type == static_cast<std::uint32_t>(GgufType::kArray)) {
      auto array = TakeArray(reader, *key);
      if (!array) return Fail(std::move(array.error()));
      value = *array;
    } else {
      const auto scalar = TakeScalar(reader, static_cast<GgufType>(*type));
      if (!scalar) return CutOff(reader, "metadata");
      value = *scalar;
    }
    if (!keys.emplace(*key, value).second) {
      return Corrupt(fmt::format("metadata entry {} repeats the name of an earlier one", i));
    }
  }
  return keys;
}

std::string_view TextOf(const Keys& keys, std::string_view key) {
  const auto found = keys.find(key);
  if (found == keys.end()) return {};
  const auto* text = std::get_if<std::string_view>(&found->second);
  return text ? *text : std::string_view{};
}

// A number, or the greatest of an array of numbers (one for each layer); 0 if absent.
std::uint64_t NumberOf(const Keys& keys, std::string_view key) {
  const auto found = keys.find(key);
  if (found == keys.end()) return 0;
  if (const auto* number = std::get_if<std::uint64_t>(&found->second)) return *number;
  if (const auto* array = std::get_if<Array>(&found->second)) return array->greatest;
  return 0;
}

struct TensorExtent {
  std::uint64_t offset;
  std::uint64_t bytes;
};

// Bytes of a tensor; an Error where its type or its shape cannot be.
Result<std::uint64_t> TensorBytes(std::string_view name, std::uint32_t type,
                                  std::span<const std::int64_t> shape) {
  if (type >= GGML_TYPE_COUNT || ggml_blck_size(static_cast<ggml_type>(type)) == 0) {
    return Corrupt(
        fmt::format("tensor '{}' is of type {}, which this build does not know", name, type));
  }
  const std::int64_t block = ggml_blck_size(static_cast<ggml_type>(type));
  std::int64_t elements = 1;
  for (const std::int64_t size : shape) {
    if (size < 1 || elements > std::numeric_limits<std::int64_t>::max() / 64 / size) {
      return Corrupt(fmt::format("tensor '{}' has a dimension of {}", name, size));
    }
    elements *= size;
  }
  if (!shape.empty() && shape[0] % block != 0) {
    return Corrupt(fmt::format("tensor '{}' has rows of {}, not a multiple of its block of {}",
                               name, shape[0], block));
  }
  return static_cast<std::uint64_t>(elements / block) *
         ggml_type_size(static_cast<ggml_type>(type));
}

Result<TensorExtent> TakeTensor(GgufReader& reader, std::set<std::string_view>& names,
                                std::uint64_t alignment) {
  const auto name = reader.TakeString();
  const auto dimensions = reader.Take<std::uint32_t>();
  if (!name || !dimensions) return CutOff(reader, "table of tensors");
  if (name->size() >= GGML_MAX_NAME) {
    return Corrupt(fmt::format("a tensor's name has {} bytes; at most {} are possible",
                               name->size(), GGML_MAX_NAME - 1));
  }
  if (!names.insert(*name).second) return Corrupt(fmt::format("tensor '{}' is there twice", *name));
  if (*dimensions > GGML_MAX_DIMS) {
    return Corrupt(fmt::format("tensor '{}' has {} dimensions; at most {} are possible", *name,
                               *dimensions, GGML_MAX_DIMS));
  }
  std::array<std::int64_t, GGML_MAX_DIMS> shape{};
  for (std::uint32_t i = 0; i < *dimensions; ++i) {
    const auto size = reader.Take<std::int64_t>();
    if (!size) return CutOff(reader, "table of tensors");
    shape[i] = *size;
  }
  const auto type = reader.Take<std::uint32_t>();
  const auto offset = reader.Take<std::uint64_t>();
  if (!type || !offset) return CutOff(reader, "table of tensors");
  auto bytes = TensorBytes(*name, *type, std::span(shape).first(*dimensions));
  if (!bytes) return Fail(std::move(bytes.error()));
  if (*offset % alignment != 0) {
    return Corrupt(
        fmt::format("tensor '{}' begins at {}, not a multiple of {}", *name, *offset, alignment));
  }
  return TensorExtent{*offset, *bytes};
}

// The table of tensors, and that every tensor's data lies within the file.
Status TakeTensors(GgufReader& reader, const Keys& keys, std::uint64_t file_bytes,
                   GgufSummary& summary) {
  const bool given = keys.contains("general.alignment");
  const std::uint64_t alignment = given ? NumberOf(keys, "general.alignment") : kDefaultAlignment;
  if (!std::has_single_bit(alignment) || alignment > (1u << 20)) {
    return Corrupt(fmt::format("general.alignment is {}, not a power of two", alignment));
  }
  std::set<std::string_view> names;
  std::uint64_t end = 0;
  for (std::int64_t i = 0; i < summary.tensors; ++i) {
    auto extent = TakeTensor(reader, names, alignment);
    if (!extent) return Fail(std::move(extent.error()));
    if (extent->offset > file_bytes || extent->bytes > file_bytes) {
      return Corrupt(fmt::format(
          "tensor {} would end beyond the file's {} bytes: the file is cut off", i, file_bytes));
    }
    end = std::max(end, extent->offset + extent->bytes);
    summary.tensor_bytes += extent->bytes;
  }
  const std::uint64_t data = (reader.offset() + alignment - 1) / alignment * alignment;
  if (data + end > file_bytes) {
    return Corrupt(fmt::format("the tensors need a file of {} bytes, and it has {}: it is cut off",
                               data + end, file_bytes));
  }
  return {};
}

void Summarise(const Keys& keys, GgufSummary& summary) {
  summary.architecture = TextOf(keys, "general.architecture");
  summary.name = TextOf(keys, "general.name");
  const auto number = [&](const char* suffix) {
    return NumberOf(keys, summary.architecture + suffix);
  };
  summary.context_length = number(".context_length");
  summary.layers = number(".block_count");
  summary.embedding_length = number(".embedding_length");
  summary.heads = number(".attention.head_count");
  summary.heads_kv = number(".attention.head_count_kv");
  if (summary.heads_kv == 0) summary.heads_kv = summary.heads;
  const std::uint64_t per_head = summary.heads > 0 ? summary.embedding_length / summary.heads : 0;
  summary.key_length = number(".attention.key_length");
  summary.value_length = number(".attention.value_length");
  if (summary.key_length == 0) summary.key_length = per_head;
  if (summary.value_length == 0) summary.value_length = per_head;
  if (const auto found = keys.find("tokenizer.ggml.tokens"); found != keys.end()) {
    if (const auto* array = std::get_if<Array>(&found->second)) summary.tokens = array->size;
  }
}

// Sound as a file; but is it a model that can run?
Status CheckRunnable(const Keys& keys, const GgufSummary& summary) {
  const std::string_view kind = TextOf(keys, "general.type");
  if (!kind.empty() && kind != "model") {
    return Fail(Code::kUnsupported, fmt::format("the file is of type '{}', not a model", kind));
  }
  if (summary.architecture.empty()) {
    return Corrupt("the file does not name its architecture (general.architecture)");
  }
  if (NumberOf(keys, "split.count") > 1) {
    return Fail(Code::kUnsupported,
                fmt::format("the file is one of {} parts; join them into one file",
                            NumberOf(keys, "split.count")));
  }
  if (summary.tensors == 0) {
    return Fail(Code::kUnsupported, "the file holds a vocabulary only, and no tensors");
  }
  if (summary.tokens == 0 || TextOf(keys, "tokenizer.ggml.model").empty()) {
    return Fail(Code::kUnsupported, "the file has no vocabulary (tokenizer.ggml.tokens)");
  }
  if (summary.layers == 0 || summary.embedding_length == 0 || summary.context_length == 0) {
    return Corrupt(fmt::format(
        "architecture '{}' with {} layers, embeddings of {} and a context of {}",
        summary.architecture, summary.layers, summary.embedding_length, summary.context_length));
  }
  constexpr std::uint64_t kBig = std::uint64_t{1} << 31;
  for (const std::uint64_t size :
       {summary.layers, summary.embedding_length, summary.context_length, summary.heads,
        summary.heads_kv, summary.key_length, summary.value_length}) {
    if (size >= kBig) return Corrupt(fmt::format("a size in the metadata is {}", size));
  }
  return {};
}

}  // namespace

Result<GgufSummary> ParseGguf(std::span<const std::uint8_t> head, std::uint64_t file_bytes) {
  GgufReader reader(head);
  const auto magic = reader.Take<std::uint32_t>();
  if (!magic || *magic != 0x46554747)
    return Corrupt("not a GGUF file: it does not begin with 'GGUF'");
  const auto version = reader.Take<std::uint32_t>();
  const auto tensors = reader.Take<std::int64_t>();
  const auto key_count = reader.Take<std::int64_t>();
  if (!version || !tensors || !key_count) return CutOff(reader, "head");
  if (*version < 2 || *version > 3) {
    const bool swapped = (*version & 0xFFFF) == 0;
    return Fail(Code::kUnsupported,
                swapped
                    ? std::string("the GGUF file is big-endian; this machine needs little-endian")
                    : fmt::format("GGUF version {}; this build reads 2 and 3", *version));
  }
  if (*tensors < 0 || *tensors > std::int64_t{kTensorsMax} || *key_count < 0 ||
      *key_count > std::int64_t{kKeysMax}) {
    return Corrupt(
        fmt::format("the head announces {} tensors and {} metadata entries", *tensors, *key_count));
  }
  auto keys = TakeKeys(reader, *key_count);
  if (!keys) return Fail(std::move(keys.error()));
  GgufSummary summary;
  summary.tensors = *tensors;
  Summarise(*keys, summary);
  if (Status runnable = CheckRunnable(*keys, summary); !runnable) return Fail(runnable.error());
  if (Status whole = TakeTensors(reader, *keys, file_bytes, summary); !whole) {
    return Fail(whole.error());
  }
  return summary;
}

std::uint64_t CacheBytes(const GgufSummary& model, std::uint64_t sequences,
                         std::uint64_t tokens_per_sequence) {
  const std::uint64_t cell =
      model.layers * model.heads_kv * (model.key_length + model.value_length) * 2;
  return cell * sequences * tokens_per_sequence;
}

MemoryEstimate EstimateMemory(const GgufSummary& model, const MemoryNeed& need) {
  MemoryEstimate estimate{.weights = model.tensor_bytes, .prefixes = need.prefix_bytes};
  estimate.cache = CacheBytes(model, need.sequences, need.tokens_per_sequence);
  const std::uint64_t batch = std::min(need.micro_batch, need.tokens_per_sequence);
  // Activations: some ten vectors of each token, the widest the feed-forward's, about four times as
  // wide as the model.
  estimate.computing = batch * model.embedding_length * 4 * 16;
  if (!need.flash_attention) {
    estimate.computing += batch * model.heads * need.tokens_per_sequence * sizeof(float);
  }
  estimate.computing += need.sequences * model.tokens * sizeof(float);
  return estimate;
}

Status CheckMemory(const GgufSummary& model, const MemoryNeed& need,
                   std::uint64_t available_bytes) {
  const MemoryEstimate estimate = EstimateMemory(model, need);
  if (estimate.total() <= available_bytes) return {};
  const auto mebibytes = [](std::uint64_t bytes) { return bytes >> 20; };
  return Fail(Code::kExhausted,
              fmt::format("{} sequences of {} tokens need a cache of {} MiB, the weights {} MiB, "
                          "computing {} MiB and kept prefixes {} MiB; {} MiB are available: lower "
                          "--parallel, --context-tokens or --prefix-cache-mib",
                          need.sequences, need.tokens_per_sequence, mebibytes(estimate.cache),
                          mebibytes(estimate.weights), mebibytes(estimate.computing),
                          mebibytes(estimate.prefixes), mebibytes(available_bytes)),
              "context");
}

}  // namespace penstock::engine
