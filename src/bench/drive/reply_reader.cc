#include "bench/drive/reply_reader.h"

#include <fmt/format.h>
#include <simdjson.h>

#include <algorithm>
#include <charconv>
#include <cmath>
#include <limits>
#include <optional>

namespace penstock::bench {
namespace {

using simdjson::dom::element;

int ToInt(std::uint64_t value) {
  constexpr std::uint64_t kMost = std::numeric_limits<int>::max();
  return static_cast<int>(std::min(value, kMost));
}

// One line of at most kErrorMessageBytesMax bytes; never half a character.
std::string OneLine(std::string_view text) {
  if (text.size() > kErrorMessageBytesMax) {
    std::size_t end = kErrorMessageBytesMax;
    while (end > 0 && (static_cast<unsigned char>(text[end]) & 0xC0) == 0x80) --end;
    text = text.substr(0, end);
  }
  std::string line(text);
  std::ranges::replace_if(line, [](char c) { return static_cast<unsigned char>(c) < 0x20; }, ' ');
  return line;
}

// A number from 0 on, as a header's whole value.
std::optional<double> NumberOf(std::string_view text) {
  double value = 0;
  const auto parsed = std::from_chars(text.data(), text.data() + text.size(), value);
  const bool whole = parsed.ec == std::errc() && parsed.ptr == text.data() + text.size();
  if (!whole || !(value >= 0 && value < 1e9)) return std::nullopt;
  return value;
}

// The text that the model said in an event or a whole reply: content, or text.
void AppendText(std::string_view data, std::string& text) {
  simdjson::dom::parser parser;
  element choice;
  if (parser.parse(simdjson::padded_string(data)).at_key("choices").at(0).get(choice) !=
      simdjson::SUCCESS) {
    return;
  }
  std::string_view said;
  if (choice["delta"]["content"].get(said) == simdjson::SUCCESS ||
      choice["message"]["content"].get(said) == simdjson::SUCCESS ||
      choice["text"].get(said) == simdjson::SUCCESS) {
    text += said;
  }
}

bool IsSuccess(int status) { return status >= 200 && status < 300; }

}  // namespace

std::string ErrorMessageOf(std::string_view body) {
  simdjson::dom::parser parser;
  element root;
  std::string_view message;
  if (parser.parse(simdjson::padded_string(body)).get(root) == simdjson::SUCCESS) {
    if (root["error"]["message"].get(message) == simdjson::SUCCESS ||
        root["message"].get(message) == simdjson::SUCCESS ||
        root["error"].get(message) == simdjson::SUCCESS) {
      return OneLine(message);
    }
  }
  return OneLine(body);
}

void ReplyReader::Fail(ErrorKind kind, std::string_view message) {
  if (record_.failed()) return;  // The first failure is the cause.
  record_.error = kind;
  record_.error_message = OneLine(message);
}

void ReplyReader::Head(int status, std::string_view content_type, std::int64_t at_ns) {
  record_.http_status = status;
  record_.first_byte_ns = at_ns;
  if (!IsSuccess(status)) {
    mode_ = Mode::kRefusal;
  } else if (!record_.streamed) {
    mode_ = Mode::kWhole;
  } else if (!content_type.starts_with("text/event-stream")) {
    mode_ = Mode::kRefusal;
    Fail(ErrorKind::kNotStream,
         fmt::format("a stream was asked for, and {} came",
                     content_type.empty() ? "no content-type" : content_type));
  } else {
    record_.gaps_ns.reserve(static_cast<std::size_t>(std::max(record_.output_tokens_wanted, 1)));
  }
}

void ReplyReader::Head(const Hints& hints) {
  if (const auto wait_ms = NumberOf(hints.retry_after_ms)) {
    record_.retry_after_ms = std::llround(*wait_ms);
  } else if (const auto wait_s = NumberOf(hints.retry_after)) {
    record_.retry_after_ms = std::llround(*wait_s * 1000);
  }
  if (const auto queued_ms = NumberOf(hints.queue_time)) {
    record_.server_queue_ns = std::llround(*queued_ms * 1e6);
  }
  if (const auto end = hints.utilization.find('%'); end != std::string_view::npos) {
    const auto percent = NumberOf(hints.utilization.substr(0, end));
    if (percent && *percent < 1e6) {
      record_.utilization_permille = static_cast<int>(std::lround(*percent * 10));
    }
  }
}

void ReplyReader::Read(std::span<const std::string_view> pieces, std::int64_t at_ns) {
  ++record_.reads;
  chunks_in_read_ = 0;
  for (const std::string_view piece : pieces) {
    if (mode_ != Mode::kStream) {
      const std::size_t room = kWholeBodyBytesMax - std::min(body_.size(), kWholeBodyBytesMax);
      body_.append(piece.substr(0, room));
      continue;
    }
    ReadStream(piece, at_ns);
  }
  if (chunks_in_read_ > 1) ++record_.shared_reads;
}

void ReplyReader::ReadStream(std::string_view bytes, std::int64_t at_ns) {
  if (!any_event_) NoteBeginning(bytes);
  if (text_ == nullptr && !done_ && parser_.AtEventStart()) {
    bytes.remove_prefix(TakeTokensLikeLast(bytes, at_ns));
    if (bytes.empty()) return;
  }
  parser_.Feed(bytes);
  for (;;) {
    const auto event = parser_.Next();
    if (!event) {
      Fail(ErrorKind::kMalformed, event.error().message);
      mode_ = Mode::kRefusal;  // The parser stays failed: skip the rest.
      return;
    }
    if (!*event) return;
    TakeEvent((*event)->data, at_ns);
  }
}

// The short way, for the events that most streams consist of. Returns the bytes taken.
std::size_t ReplyReader::TakeTokensLikeLast(std::string_view bytes, std::int64_t at_ns) {
  const std::size_t before = bytes.size();
  StreamChunk chunk;
  while (const std::size_t taken = meter_.ReadLikeLast(bytes, chunk)) {
    TakeToken(chunk, at_ns);
    TakeEnds(chunk);
    bytes.remove_prefix(taken);
  }
  return before - bytes.size();
}

// A server may announce events, and send one JSON text or a page: to the parser they are fields
// that nobody knows. What it said is kept for the error's message.
void ReplyReader::NoteBeginning(std::string_view bytes) {
  constexpr std::size_t kKeptMax = 4096;
  // Of a comment, data, event, id, retry, and a byte order mark.
  constexpr std::string_view kBeginsEvents = ":deir\xEF";
  if (!first_byte_) {
    const std::size_t first = bytes.find_first_not_of(" \t\r\n");
    if (first == std::string_view::npos) return;
    bytes.remove_prefix(first);
    first_byte_ = bytes.front();
  }
  if (kBeginsEvents.contains(*first_byte_)) return;
  body_.append(bytes.substr(0, kKeptMax - std::min(body_.size(), kKeptMax)));
}

void ReplyReader::TakeEvent(std::string_view data, std::int64_t at_ns) {
  any_event_ = true;
  if (done_) {
    record_.oddities.Add(Oddity::kAfterDone);
    return;
  }
  const StreamChunk chunk = meter_.Read(data);
  switch (chunk.kind) {
    case ChunkKind::kDone:
      done_ = true;
      break;
    case ChunkKind::kMalformed:
      if (!simdjson::validate_utf8(data)) {
        record_.oddities.Add(Oddity::kBadUtf8);
        Fail(ErrorKind::kMalformed, "an event is not UTF-8: a character was split or broken");
      }
      Fail(ErrorKind::kMalformed, fmt::format("an event is not a JSON object: {}", data));
      break;
    case ChunkKind::kError:
      Fail(ErrorKind::kStream, ErrorMessageOf(data));
      break;
    case ChunkKind::kContent:
    case ChunkKind::kToolCall:
    case ChunkKind::kReasoning:
      TakeToken(chunk, at_ns);
      if (text_ != nullptr && chunk.kind == ChunkKind::kContent) AppendText(data, *text_);
      break;
    case ChunkKind::kFinish:
    case ChunkKind::kUsage:
    case ChunkKind::kRole:
    case ChunkKind::kOther:
      break;
  }
  TakeEnds(chunk);
}

// What any chunk may tell besides.
void ReplyReader::TakeEnds(const StreamChunk& chunk) {
  if (chunk.finish != FinishReason::kNone) record_.finish_reason = ToWord(chunk.finish);
  if (chunk.usage) TakeUsage(*chunk.usage);
}

void ReplyReader::TakeToken(const StreamChunk& chunk, std::int64_t at_ns) {
  ++chunks_in_read_;
  text_bytes_ += chunk.text_bytes;
  if (record_.chunks++ == 0) {
    record_.first_token_ns = at_ns;
    first_chunk_bytes_ = chunk.text_bytes;
  } else {
    record_.gaps_ns.push_back(std::max<std::int64_t>(at_ns - record_.last_token_ns, 0));
  }
  record_.last_token_ns = std::max(record_.last_token_ns, at_ns);
  if (record_.first_answer_ns == kNever && chunk.kind != ChunkKind::kReasoning) {
    record_.first_answer_ns = at_ns;
  }
}

void ReplyReader::TakeUsage(const Usage& usage) {
  record_.input_tokens = ToInt(usage.prompt_tokens);
  record_.output_tokens = ToInt(usage.completion_tokens);
  record_.cached_tokens = ToInt(usage.cached_tokens);
}

void ReplyReader::TakeWhole() {
  simdjson::dom::parser parser;
  element root;
  if (parser.parse(simdjson::padded_string(body_)).get(root) != simdjson::SUCCESS) {
    return Fail(ErrorKind::kMalformed, "the reply is not JSON: " + body_.substr(0, 100));
  }
  element error;
  if (root["error"].get(error) == simdjson::SUCCESS && !error.is_null()) {
    return Fail(ErrorKind::kStream, ErrorMessageOf(body_));
  }
  const auto count = [&root](std::string_view name) {
    std::uint64_t value = 0;
    return root["usage"][name].get(value) == simdjson::SUCCESS ? ToInt(value) : kUnknown;
  };
  record_.input_tokens = count("prompt_tokens");
  simdjson::dom::array choices;
  if (root["data"].get(choices) == simdjson::SUCCESS) {  // Embeddings: there is no output.
    if (choices.size() == 0) Fail(ErrorKind::kEmpty, "the reply holds no embedding");
    record_.output_tokens = 0;
    return;
  }
  if (root["choices"].get(choices) != simdjson::SUCCESS || choices.size() == 0) {
    return Fail(ErrorKind::kMalformed, "the reply has no \"choices\"");
  }
  std::string_view reason;
  if (choices.at(0)["finish_reason"].get(reason) == simdjson::SUCCESS)
    record_.finish_reason = reason;
  record_.output_tokens = count("completion_tokens");
  std::uint64_t cached = 0;
  if (root["usage"]["prompt_tokens_details"]["cached_tokens"].get(cached) == simdjson::SUCCESS) {
    record_.cached_tokens = ToInt(cached);
  }
  if (text_ != nullptr) AppendText(body_, *text_);
  if (record_.output_tokens == 0) Fail(ErrorKind::kEmpty, "the reply holds no token");
}

void ReplyReader::TakeRefusal() {
  if (IsSuccess(record_.http_status)) return;  // Failed already, by its content type or its bytes.
  Fail(record_.http_status == 429 ? ErrorKind::kRateLimited : ErrorKind::kStatus,
       fmt::format("status {}: {}", record_.http_status, ErrorMessageOf(body_)));
}

void ReplyReader::EndStream() {
  if (!any_event_ && !body_.empty()) {
    return Fail(ErrorKind::kNotStream,
                fmt::format("text/event-stream was announced, and {} came: {}",
                            first_byte_ == '{' || first_byte_ == '[' ? "one JSON text"
                            : first_byte_ == '<'                     ? "a page"
                                                                     : "no event",
                            ErrorMessageOf(body_)));
  }
  if (!done_ && (record_.finish_reason.empty() || parser_.InsideEvent())) {
    Fail(ErrorKind::kTruncated, "the stream ended before its answer did");
  }
  if (!done_ && !record_.failed()) record_.oddities.Add(Oddity::kNoDone);
  if (record_.chunks == 0) Fail(ErrorKind::kEmpty, "the stream held no token");
}

void ReplyReader::JudgeUsage() {
  if (record_.output_tokens == kUnknown) return;
  if (record_.output_tokens < record_.chunks) record_.oddities.Add(Oddity::kUsageTooSmall);
  if (record_.output_tokens_wanted > 0 && record_.output_tokens > record_.output_tokens_wanted) {
    record_.oddities.Add(Oddity::kUsageTooLarge);
  }
}

void ReplyReader::End(std::int64_t at_ns, ErrorKind failure, std::string_view message) {
  record_.end_ns = at_ns;
  const bool complete = mode_ == Mode::kStream && done_;
  if (failure != ErrorKind::kNone && !complete) {
    // A refusal whose body was cut is still that refusal.
    if (mode_ == Mode::kRefusal && record_.http_status != 0) TakeRefusal();
    Fail(failure, message);
  } else if (mode_ == Mode::kStream) {
    EndStream();
  } else if (mode_ == Mode::kWhole) {
    TakeWhole();
  } else {
    TakeRefusal();
  }
  JudgeUsage();
  record_.first_chunk_tokens = EstimateFirstChunkTokens({.tokens = record_.OutputTokens(),
                                                         .chunks = record_.chunks,
                                                         .first_chunk_bytes = first_chunk_bytes_,
                                                         .all_bytes = text_bytes_});
}

}  // namespace penstock::bench
