// ReplyReader: turns the bytes of one response, as they arrive, into the record of its request.
//
// Pure: the caller reads the socket and says when each read arrived. What counts as a token chunk
// is content, reasoning or part of a tool call; the empty chunk that opens a stream, usage and the
// end never do. An error event, and a stream that ends before its answer does, are failures, and
// the tokens that came before stay in the record.
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <string_view>

#include "api/sse.h"
#include "api/stream_meter.h"
#include "bench/record/record.h"

namespace penstock::bench {

inline constexpr std::size_t kErrorMessageBytesMax = 300;
inline constexpr std::size_t kWholeBodyBytesMax = std::size_t{16}
                                                  << 20;  // Of a reply in one piece.

class ReplyReader {
 public:
  // Writes into `record`, which must outlive the reader; `record.streamed` says what was asked for.
  // Appends the answer's text (reasoning left out) to `text`, where there is one, at the price of a
  // full parse of each event.
  explicit ReplyReader(RequestRecord& record, std::string* text = nullptr)
      : record_(record), text_(text) {}
  ReplyReader(const ReplyReader&) = delete;
  ReplyReader& operator=(const ReplyReader&) = delete;

  // The response's head arrived. Before any Read().
  void Head(int status, std::string_view content_type, std::int64_t at_ns);

  // What other fields of the head said; "" where there was none.
  struct Hints {
    std::string_view retry_after_ms{};
    std::string_view retry_after{};  // Seconds; a date is passed over.
    std::string_view queue_time{};   // Milliseconds, as TGI's x-queue-time.
    std::string_view utilization{};  // "97.5%", as azure-openai-deployment-utilization.
  };
  void Head(const Hints& hints);

  // One socket read brought `pieces` of the decoded body (it may be none). Times never go back.
  void Read(std::span<const std::string_view> pieces, std::int64_t at_ns);

  // The response is over. `failure`: how the transport failed, kNone where the message was
  // complete. A failure behind an answer that was complete is none. Call once.
  void End(std::int64_t at_ns, ErrorKind failure, std::string_view message);

  // What reading compares with, for whoever fetches it early; "" before the first token.
  std::string_view memory() const { return meter_.memory(); }

  // Token chunks in the last Read(), for a live display.
  int chunks_in_read() const { return chunks_in_read_; }

 private:
  void ReadStream(std::string_view bytes, std::int64_t at_ns);
  std::size_t TakeTokensLikeLast(std::string_view bytes, std::int64_t at_ns);
  void NoteBeginning(std::string_view bytes);
  void TakeEvent(std::string_view data, std::int64_t at_ns);
  void TakeEnds(const StreamChunk& chunk);
  void TakeToken(const StreamChunk& chunk, std::int64_t at_ns);
  void TakeUsage(const Usage& usage);
  void TakeWhole();
  void TakeRefusal();
  void EndStream();
  void JudgeUsage();
  void Fail(ErrorKind kind, std::string_view message);

  enum class Mode { kStream, kWhole, kRefusal };

  RequestRecord& record_;
  std::string* text_;  // Borrowed; may be null.
  Mode mode_ = Mode::kStream;
  SseParser parser_;
  StreamMeter meter_;
  std::string body_;  // Of a reply in one piece, of a refusal, or of what is no stream.
  std::int64_t first_chunk_bytes_ = 0;
  std::int64_t text_bytes_ = 0;
  int chunks_in_read_ = 0;
  std::optional<char> first_byte_;  // Of the body, white space left out.
  bool any_event_ = false;          // The body held an event.
  bool done_ = false;               // [DONE] came.
};

// "message" or "error.message" of an error body, else the body's beginning; one line, bounded.
std::string ErrorMessageOf(std::string_view body);

}  // namespace penstock::bench
