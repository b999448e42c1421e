// Property: how a response is cut into reads never changes what its record says of tokens and
// errors.
#include "bench/drive/reply_reader.h"

#include <cstdint>
#include <cstdlib>
#include <span>
#include <string>
#include <string_view>

namespace {

using penstock::bench::ErrorKind;
using penstock::bench::ReplyReader;
using penstock::bench::RequestRecord;

// 64 readable bytes lie behind each read.
void Read(ReplyReader& reader, std::string_view bytes, std::int64_t at_ns) {
  std::string padded(bytes);
  padded.append(64, '\0');
  const std::string_view view(padded.data(), bytes.size());
  reader.Read(std::span(&view, 1), at_ns);
}

RequestRecord Record(std::string_view body, std::size_t cut, bool streamed, int status) {
  RequestRecord record;
  record.streamed = streamed;
  ReplyReader reader(record);
  reader.Head(status, "text/event-stream", 1);
  Read(reader, body.substr(0, cut), 2);
  Read(reader, body.substr(cut), 2);
  reader.End(3, ErrorKind::kNone, "");
  return record;
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* bytes, std::size_t size) {
  if (size < 3) return 0;
  const std::string_view body(reinterpret_cast<const char*>(bytes) + 3, size - 3);
  const std::size_t cut = (bytes[0] * 256U + bytes[1]) % (body.size() + 1);
  const bool streamed = (bytes[2] & 1) == 0;
  const int status = (bytes[2] & 6) == 6 ? 503 : 200;
  const RequestRecord whole = Record(body, 0, streamed, status);
  RequestRecord pieces = Record(body, cut, streamed, status);
  pieces.shared_reads = whole.shared_reads;  // The one thing that reads are told by.
  if (whole != pieces) std::abort();
  return 0;
}
