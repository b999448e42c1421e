// Visits each value of a chunk once: those with a meaning are read, the others checked.
#include "api/chunk_reader.h"

#include <algorithm>
#include <limits>
#include <string>

#include "api/characters.h"
#include "api/json_walk.h"
#include "api/quick_chunk.h"

namespace penstock::internal {
namespace {

namespace od = simdjson::ondemand;
using simdjson::error_code;
using simdjson::SUCCESS;

// Reads one chunk. Values of unexpected types are passed over: a peer's stream is observed, not
// judged; what is not JSON is the exception.
class ChunkReader {
 public:
  ChunkReader(std::string_view data, ChunkFindings& found) : data_(data), found_(found) {}

  error_code Run(od::parser& parser) {
    od::document document;
    od::object object;
    const simdjson::padded_string_view padded(data_, data_.size() + kJsonPadding);
    if (auto error = parser.iterate(padded).get(document)) return error;
    if (auto error = document.get_object().get(object)) return error;
    const error_code error = ForEachField(
        object, [this](std::string_view key, od::value value) { return ReadTop(key, value); });
    if (error) return error;
    return AtEnd(document) ? SUCCESS : simdjson::TRAILING_CONTENT;
  }

 private:
  static bool Is(od::value value, od::json_type wanted) {
    od::json_type type;
    return !value.type().get(type) && type == wanted;
  }
  error_code Skip(od::value value, std::size_t depth) { return CheckValue(value, depth, ignored_); }

  error_code ReadTop(std::string_view key, od::value value) {
    if (key == "choices" && Is(value, od::json_type::array)) {
      od::array choices;
      if (auto error = value.get_array().get(choices)) return error;
      return ForEachItem(choices, [this](od::value choice) { return ReadChoice(choice); });
    }
    if (key == "usage" && Is(value, od::json_type::object)) return ReadUsage(value);
    if (key == "error_code" || key == "error") found_.has_error |= !Is(value, od::json_type::null);
    return Skip(value, 1);
  }

  error_code ReadChoice(od::value choice) {
    if (!Is(choice, od::json_type::object)) return Skip(choice, 2);
    od::object object;
    if (auto error = choice.get_object().get(object)) return error;
    return ForEachField(object, [this](std::string_view key, od::value value) {
      // A whole answer's `message` has the members of a stream's `delta`.
      if ((key == "delta" || key == "message") && Is(value, od::json_type::object)) {
        return ReadDelta(value);
      }
      if (key == "text") return ReadText(value, found_.content_bytes, 3);
      if (key == "finish_reason") return ReadFinish(value);
      return Skip(value, 3);
    });
  }

  error_code ReadDelta(od::value delta) {
    found_.has_delta = true;
    od::object object;
    if (auto error = delta.get_object().get(object)) return error;
    return ForEachField(object, [this](std::string_view key, od::value value) {
      if (key == "content") {
        if (Is(value, od::json_type::array)) return ReadParts(value);
        return ReadText(value, found_.content_bytes, 4);
      }
      if (key == "reasoning_content" || key == "reasoning") {
        return ReadText(value, found_.reasoning_bytes, 4);
      }
      if (key == "tool_calls" && Is(value, od::json_type::array)) return ReadToolCalls(value);
      return Skip(value, 4);
    });
  }

  // Databricks: content as a list of parts. `text` is of the answer; `summary` is of a thought.
  error_code ReadParts(od::value parts) {
    od::array array;
    if (auto error = parts.get_array().get(array)) return error;
    return ForEachItem(array, [this](od::value part) {
      if (!Is(part, od::json_type::object)) return Skip(part, 5);
      od::object object;
      if (auto error = part.get_object().get(object)) return error;
      return ForEachField(object, [this](std::string_view key, od::value value) {
        if (key == "text") return ReadText(value, found_.content_bytes, 6);
        if (key == "summary" && Is(value, od::json_type::array)) return ReadSummary(value);
        return Skip(value, 6);
      });
    });
  }

  error_code ReadSummary(od::value summary) {
    od::array array;
    if (auto error = summary.get_array().get(array)) return error;
    return ForEachItem(array, [this](od::value item) {
      if (!Is(item, od::json_type::object)) return Skip(item, 7);
      od::object object;
      if (auto error = item.get_object().get(object)) return error;
      return ForEachField(object, [this](std::string_view key, od::value value) {
        return key == "text" ? ReadText(value, found_.reasoning_bytes, 8) : Skip(value, 8);
      });
    });
  }

  error_code ReadToolCalls(od::value calls) {
    od::array array;
    if (auto error = calls.get_array().get(array)) return error;
    return ForEachItem(array, [this](od::value call) {
      found_.has_tool_call = true;
      if (!Is(call, od::json_type::object)) return Skip(call, 5);
      od::object object;
      if (auto error = call.get_object().get(object)) return error;
      return ForEachField(object, [this](std::string_view key, od::value value) {
        if (key != "function" || !Is(value, od::json_type::object)) return Skip(value, 6);
        return ReadFunction(value);
      });
    });
  }

  error_code ReadFunction(od::value function) {
    od::object object;
    if (auto error = function.get_object().get(object)) return error;
    return ForEachField(object, [this](std::string_view key, od::value value) {
      return key == "arguments" ? ReadText(value, found_.argument_bytes, 7) : Skip(value, 7);
    });
  }

  error_code ReadFinish(od::value value) {
    if (!Is(value, od::json_type::string)) return Skip(value, 3);
    std::string_view word;
    if (auto error = value.get_string().get(word)) return error;
    if (found_.chunk.finish == FinishReason::kNone) found_.chunk.finish = FinishReasonOf(word);
    return SUCCESS;
  }

  error_code ReadText(od::value value, std::size_t& bytes, std::size_t depth) {
    if (!Is(value, od::json_type::string)) return Skip(value, depth);
    const std::string_view token = value.raw_json_token();
    std::string_view text;
    if (auto error = value.get_string().get(text)) return error;
    bytes += text.size();
    const std::size_t continuation = ContinuationBytes(text);
    found_.continuation_bytes += continuation;
    if (found_.text_bytes != 0 || text.empty()) return SUCCESS;
    found_.text_bytes = text.size();
    found_.text_characters = text.size() - continuation;
    found_.text_offset = static_cast<std::size_t>(token.data() - data_.data()) + 1;
    found_.text_length = InsideQuotes(token).size();
    return SUCCESS;
  }

  error_code ReadUsage(od::value value) {
    Usage usage;
    od::object object;
    if (auto error = value.get_object().get(object)) return error;
    const error_code error = ForEachField(object, [&](std::string_view key, od::value inner) {
      if (key == "prompt_tokens") return ReadCount(inner, usage.prompt_tokens, 2);
      if (key == "completion_tokens") return ReadCount(inner, usage.completion_tokens, 2);
      if (key == "prompt_tokens_details" && Is(inner, od::json_type::object)) {
        return ReadDetails(inner, usage);
      }
      return Skip(inner, 2);
    });
    found_.chunk.usage = usage;
    return error;
  }

  error_code ReadDetails(od::value details, Usage& usage) {
    od::object object;
    if (auto error = details.get_object().get(object)) return error;
    return ForEachField(object, [&](std::string_view key, od::value value) {
      return key == "cached_tokens" ? ReadCount(value, usage.cached_tokens, 3) : Skip(value, 3);
    });
  }

  error_code ReadCount(od::value value, std::uint64_t& out, std::size_t depth) {
    if (!Is(value, od::json_type::number)) return Skip(value, depth);
    od::number number;
    if (auto error = ReadNumber(value, number)) return error;
    if (number.is_uint64()) {
      out = number.get_uint64();
    } else if (number.is_int64() && number.get_int64() >= 0) {
      out = static_cast<std::uint64_t>(number.get_int64());
    }
    return SUCCESS;
  }

  std::string_view data_;
  ChunkFindings& found_;
  JsonTotals ignored_;
};

ChunkKind KindOf(const ChunkFindings& found) {
  if (found.has_error) return ChunkKind::kError;
  if (found.content_bytes != 0) return ChunkKind::kContent;
  if (found.reasoning_bytes != 0) return ChunkKind::kReasoning;
  if (found.has_tool_call) return ChunkKind::kToolCall;
  if (found.chunk.finish != FinishReason::kNone) return ChunkKind::kFinish;
  if (found.chunk.usage) return ChunkKind::kUsage;
  return found.has_delta ? ChunkKind::kRole : ChunkKind::kOther;
}

// What follows from the rest of what was found.
void Conclude(ChunkFindings& found) {
  const std::size_t bytes = found.content_bytes + found.reasoning_bytes + found.argument_bytes;
  found.chunk.kind = KindOf(found);
  constexpr std::size_t kMost = std::numeric_limits<std::uint32_t>::max();
  found.chunk.text_bytes = static_cast<std::uint32_t>(std::min(bytes, kMost));
  found.chunk.text_characters =
      static_cast<std::uint32_t>(std::min(bytes - found.continuation_bytes, kMost));
}

}  // namespace

ChunkFindings ReadChunk(std::string_view data) {
  ChunkFindings found;
  if (!QuickReadChunk(data, found)) return ReadChunkInFull(data);
  Conclude(found);
  return found;
}

ChunkFindings ReadChunkInFull(std::string_view data) {
  static thread_local std::string padded;
  static constexpr std::size_t kKeptBytes = std::size_t{64} << 10;
  padded.assign(data);
  ChunkFindings found;
  od::parser spare;
  const PaddedView view(padded);
  if (ChunkReader(view.view(), found).Run(ParserFor(data.size(), spare))) {
    found = {};
    found.chunk.kind = ChunkKind::kMalformed;
  } else {
    Conclude(found);
  }
  if (padded.capacity() > kKeptBytes) padded = {};
  return found;
}

}  // namespace penstock::internal
