// StreamMeter: what each event of an OpenAI stream is, for metering it and for timing it.
//
// The chunks of a stream differ in their text only, as a rule. The meter learns one chunk by a full
// parse, and recognises the next by equal bytes before and after the text; whatever is not equal is
// parsed in full. So the fast way can never disagree with the parser.
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

#include "api/usage.h"

namespace penstock {

// In this order of rank: a chunk that is several things is the first of them. Text of any kind
// outranks an end, since it is what a clock stops at; `finish` and `usage` are told besides.
enum class ChunkKind : std::uint8_t {
  kDone,       // [DONE].
  kMalformed,  // Not a JSON object.
  kError,      // An `error` object, or Databricks' `error_code`.
  kContent,    // Text of an answer: delta.content, text.
  kReasoning,  // Text of a thought: delta.reasoning_content, delta.reasoning.
  kToolCall,   // Part of a tool call.
  kFinish,     // A finish_reason, and no text.
  kUsage,      // Usage, and no text and no end.
  kRole,       // A delta without text: the opening chunk.
  kOther,      // Anything else: content filter results, unknown objects.
};

struct StreamChunk {
  ChunkKind kind = ChunkKind::kOther;
  FinishReason finish = FinishReason::kNone;
  std::uint32_t text_bytes = 0;  // UTF-8 bytes, unescaped: content, reasoning and tool arguments.
  std::uint32_t text_characters = 0;  // The same text in code points.
  std::optional<Usage> usage = {};    // Present and not null.

  bool operator==(const StreamChunk&) const = default;
};

// True for the kinds that a time to first token waits for.
constexpr bool HasText(ChunkKind kind) {
  return kind == ChunkKind::kContent || kind == ChunkKind::kReasoning ||
         kind == ChunkKind::kToolCall;
}

// One per stream (about 300 bytes once a chunk is learned). Not for several threads at once.
class StreamMeter {
 public:
  // `data` is an event's data. A chunk may hold several tokens: only usage counts them.
  StreamChunk Read(std::string_view data);

  // The event at the front of `stream`, which begins there, where it is one `data: ` line and a
  // blank line, ended by LF, and but for its text equal to the last one: the bytes that it takes,
  // and `chunk` is what Read() would give. 0: it is not so, or not whole; parse the stream.
  std::size_t ReadLikeLast(std::string_view stream, StreamChunk& chunk);

  // What Read() compares with, for whoever fetches it early; "" before a chunk is learned.
  std::string_view memory() const { return around_text_; }

 private:
  struct TextSize {
    std::uint32_t bytes = 0;  // Unescaped.
    std::uint32_t characters = 0;
  };
  static std::optional<TextSize> SizeOf(std::string_view text);
  StreamChunk LikeLearned(TextSize text) const {
    return {.kind = learned_kind_,
            .finish = learned_finish_,
            .text_bytes = learned_others_.bytes + text.bytes,
            .text_characters = learned_others_.characters + text.characters};
  }

  // The last chunk that was parsed in full and held text: its bytes before and after that text.
  std::string around_text_;
  std::uint32_t before_bytes_ = 0;  // Of around_text_, those before the text. 0: nothing learned.
  bool plain_ = false;              // What was learned is text, and has no line end inside.
  // Its answer, less the bytes of that text. One with usage is not learned: its figures change.
  ChunkKind learned_kind_ = ChunkKind::kOther;
  FinishReason learned_finish_ = FinishReason::kNone;
  TextSize learned_others_;  // Texts besides that one.
};

// The full parse: what Read() answers, without a memory. Slower (about 0.5 µs a chunk).
StreamChunk ParseStreamChunk(std::string_view data);

}  // namespace penstock
