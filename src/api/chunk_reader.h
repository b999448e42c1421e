// The full parse of a stream's chunk, and where its text stands; for the files of this folder only.
#pragma once

#include <cstddef>
#include <string_view>

#include "api/stream_meter.h"

namespace penstock::internal {

struct ChunkFindings {
  StreamChunk chunk;
  std::size_t content_bytes = 0;
  std::size_t reasoning_bytes = 0;
  std::size_t argument_bytes = 0;
  std::size_t continuation_bytes = 0;  // Of all those: they begin no character.
  bool has_tool_call = false;
  bool has_error = false;
  bool has_delta = false;
  // The first string that counted as text: its place between its quotes, and its unescaped size.
  std::size_t text_offset = 0;
  std::size_t text_length = 0;
  std::size_t text_bytes = 0;
  std::size_t text_characters = 0;

  bool operator==(const ChunkFindings&) const = default;
};

// `data` needs no padding, and is not [DONE].
ChunkFindings ReadChunk(std::string_view data);
// The same, always by the full parser.
ChunkFindings ReadChunkInFull(std::string_view data);

}  // namespace penstock::internal
