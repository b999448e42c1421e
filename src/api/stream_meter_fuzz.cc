// Property: whatever a meter has learned, it answers as the full parse does, and so do its short
// ways, where they answer; a chunk counts as malformed exactly where the whole-document parser
// finds no object.
#include <simdjson.h>

#include <cstdint>
#include <cstdlib>
#include <string>

#include "api/chunk_reader.h"
#include "api/object_reader.h"
#include "api/stream_meter.h"

// The input is a list of chunks, one a line.
extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* bytes, std::size_t size) {
  std::string_view rest(reinterpret_cast<const char*>(bytes), size);
  penstock::StreamMeter meter;
  simdjson::dom::parser parser;
  while (!rest.empty()) {
    const std::size_t end = rest.find('\n');
    const std::string_view data = rest.substr(0, end);
    rest.remove_prefix(end == std::string_view::npos ? rest.size() : end + 1);
    const penstock::StreamChunk full = penstock::ParseStreamChunk(data);
    if (data != "[DONE]") {
      const auto quick = penstock::internal::ReadChunk(data);
      if (quick != penstock::internal::ReadChunkInFull(data)) std::abort();
    }
    const std::string event = "data: " + std::string(data) + "\n\n";
    penstock::StreamChunk chunk;
    for (int i = 0; i < 2; ++i) {
      const std::size_t taken = meter.ReadLikeLast(event + "data: x", chunk);
      if (taken != 0 && (taken != event.size() || chunk != full)) std::abort();
      if (meter.Read(data) != full) std::abort();
    }
    if (full.kind == penstock::ChunkKind::kDone) continue;
    std::string copy(data);
    const auto root = penstock::internal::ParseRoot(parser, penstock::PaddedView(copy));
    if (root.has_value() == (full.kind == penstock::ChunkKind::kMalformed)) std::abort();
  }
  return 0;
}
