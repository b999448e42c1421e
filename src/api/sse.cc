// Lines first, then fields, then events; and one short way for the event that needs none of it.
#include "api/sse.h"

#include <fmt/format.h>

#include <cstring>

#include "base/check.h"

namespace penstock {
namespace {

constexpr std::string_view kByteOrderMark = "\xEF\xBB\xBF";
constexpr std::string_view kDataField = "data:";

std::string_view WithoutLeadingSpace(std::string_view value) {
  if (value.starts_with(' ')) value.remove_prefix(1);
  return value;
}

}  // namespace

void SseParser::Feed(std::string_view bytes) {
  CHECK(failed_ || position_ == input_.size(), "Feed() before Next() had returned nullopt");
  bytes_before_ += input_.size();
  input_ = bytes;
  position_ = 0;
  next_line_feed_ = kNotLookedFor;
}

Result<std::optional<SseEvent>> SseParser::Next() {
  if (failed_) return FailTooLong();
  if (carried_ && carried_->event_taken) {
    carried_->data.clear();
    carried_->type.clear();
    carried_->has_data = carried_->event_taken = false;
  }
  if (skip_line_feed_ && position_ < input_.size()) {
    skip_line_feed_ = false;
    if (input_[position_] == '\n') ++position_;
  }
  while (position_ < input_.size()) {
    if (auto event = TakeWholeEvent()) return event;
    std::string& line = carried().line;
    const std::size_t end = FindLineEnd();
    const std::string_view piece = input_.substr(position_, end - position_);
    if (piece.size() > event_bytes_max_ - line.size()) return FailTooLong();
    position_ = end;
    if (end == input_.size()) {  // The line goes on in the next input.
      line.append(piece);
      return std::nullopt;
    }
    PassLineEnd();
    if (!line.empty()) line.append(piece);
    const Status taken = TakeField(line.empty() ? piece : line);
    const bool blank = line.empty() && piece.empty();
    line.clear();
    if (!taken) return std::unexpected(taken.error());
    if (!blank) continue;
    if (auto event = EndEvent()) return event;
  }
  return std::nullopt;
}

SseParser::Carried& SseParser::carried() {
  if (!carried_) carried_ = std::make_unique<Carried>();
  return *carried_;
}

// The common event: one data line and a blank line, both in the input, nothing pending.
std::optional<SseEvent> SseParser::TakeWholeEvent() {
  if (InsideEvent()) return std::nullopt;
  const std::string_view rest = input_.substr(position_);
  if (!rest.starts_with(kDataField)) return std::nullopt;
  const std::size_t line_feed = FindLineFeed() - position_;
  if (line_feed + 1 >= rest.size()) return std::nullopt;
  std::string_view line = rest.substr(0, line_feed);
  std::size_t end = line_feed + 1;
  if (line.ends_with('\r')) line.remove_suffix(1);
  if (rest[end] == '\r') ++end;
  if (end == rest.size() || rest[end] != '\n') return std::nullopt;
  if (line.size() > event_bytes_max_) return std::nullopt;
  if (std::memchr(line.data(), '\r', line.size()) != nullptr) return std::nullopt;
  position_ += end + 1;
  first_line_ = false;
  return MakeEvent(WithoutLeadingSpace(line.substr(kDataField.size())));
}

// A blank line came. Nothing is given out where no data line was.
std::optional<SseEvent> SseParser::EndEvent() {
  Carried& carried = *carried_;
  carried.event_taken = true;
  if (carried.has_data) return MakeEvent(carried.data);
  carried.type.clear();
  carried.event_taken = false;
  event_begin_ = bytes_before_ + position_;
  return std::nullopt;
}

SseEvent SseParser::MakeEvent(std::string_view data) {
  const std::uint64_t begin = event_begin_;
  event_begin_ = bytes_before_ + position_;
  SseEvent event{.data = data, .type = {}, .id = {}, .begin = begin, .end = event_begin_};
  if (carried_) {
    event.type = carried_->type;
    event.id = carried_->id;
  }
  return event;
}

Status SseParser::TakeField(std::string_view line) {
  if (first_line_ && line.starts_with(kByteOrderMark)) line.remove_prefix(kByteOrderMark.size());
  first_line_ = false;
  const std::size_t colon = line.find(':');
  const std::string_view name = line.substr(0, colon);
  const std::string_view value = colon == std::string_view::npos
                                     ? std::string_view{}
                                     : WithoutLeadingSpace(line.substr(colon + 1));
  Carried& carried = *carried_;
  if (name == "data") {
    const std::size_t room = event_bytes_max_ - carried.data.size();
    if (value.size() + (carried.has_data ? 1 : 0) > room) return FailTooLong();
    if (carried.has_data) carried.data.push_back('\n');
    carried.data.append(value);
    carried.has_data = true;
  } else if (name == "event") {
    carried.type = value;
  } else if (name == "id" && value.find('\0') == std::string_view::npos) {
    carried.id = value;
  }
  return {};
}

// Looks for a line feed at most once per byte of input, however many lines end with CR alone.
std::size_t SseParser::FindLineFeed() {
  if (next_line_feed_ != kNotLookedFor && next_line_feed_ >= position_) return next_line_feed_;
  const std::size_t found = input_.find('\n', position_);
  next_line_feed_ = found == std::string_view::npos ? input_.size() : found;
  return next_line_feed_;
}

// The position of the next CR or LF, or the end of the input.
std::size_t SseParser::FindLineEnd() {
  const std::size_t line_feed = FindLineFeed();
  const std::size_t carriage_return = input_.substr(position_, line_feed - position_).find('\r');
  return carriage_return == std::string_view::npos ? line_feed : position_ + carriage_return;
}

// Steps over the line end at position_.
void SseParser::PassLineEnd() {
  const bool was_return = input_[position_++] == '\r';
  if (!was_return) return;
  if (position_ == input_.size()) {
    skip_line_feed_ = true;
  } else if (input_[position_] == '\n') {
    ++position_;
  }
}

std::unexpected<Error> SseParser::FailTooLong() {
  failed_ = true;
  return Fail(Code::kUpstream,
              fmt::format("the event stream holds a line or an event of more than {} bytes",
                          event_bytes_max_));
}

}  // namespace penstock
