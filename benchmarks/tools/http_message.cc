// HTTP messages: parsing.
#include "http_message.h"

#include <strings.h>

#include <algorithm>
#include <charconv>
#include <cstring>

namespace measure {
namespace {

std::optional<long> ParseNumber(std::string_view text, int base = 10) {
  long value = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value, base);
  if (error != std::errc() || end == text.data()) return std::nullopt;
  return value;
}

// What follows `"name":` and blanks; empty if the name does not occur.
std::string_view JsonValue(std::string_view json, std::string_view name) {
  const std::string key = "\"" + std::string(name) + "\":";
  const std::size_t found = json.find(key);
  if (found == std::string_view::npos) return {};
  json.remove_prefix(found + key.size());
  json.remove_prefix(std::min(json.find_first_not_of(' '), json.size()));
  return json;
}

}  // namespace

std::string_view HeaderValue(std::string_view head, std::string_view name) {
  for (std::size_t at = head.find("\r\n"); at != std::string_view::npos;) {
    const std::size_t begin = at + 2;
    at = head.find("\r\n", begin);
    std::string_view line = head.substr(begin, at - begin);
    if (line.size() <= name.size() || line[name.size()] != ':' ||
        ::strncasecmp(line.data(), name.data(), name.size()) != 0) {
      continue;
    }
    line.remove_prefix(name.size() + 1);
    line.remove_prefix(std::min(line.find_first_not_of(' '), line.size()));
    return line;
  }
  return {};
}

std::optional<long> JsonNumber(std::string_view json, std::string_view name) {
  return ParseNumber(JsonValue(json, name));
}

bool JsonTrue(std::string_view json, std::string_view name) {
  return JsonValue(json, name).starts_with("true");
}

std::optional<Request> ParseRequest(std::string_view bytes) {
  const std::size_t head_end = bytes.find("\r\n\r\n");
  if (head_end == std::string_view::npos) return std::nullopt;
  Request request{.head = bytes.substr(0, head_end + 2)};
  const std::size_t length = static_cast<std::size_t>(
      ParseNumber(HeaderValue(request.head, "content-length")).value_or(0));
  if (bytes.size() < head_end + 4 + length) return std::nullopt;
  request.size = head_end + 4 + length;
  request.body = bytes.substr(head_end + 4, length);
  request.method = bytes.substr(0, bytes.find(' '));
  request.path = bytes.substr(request.method.size() + 1);
  request.path = request.path.substr(0, request.path.find(' '));
  return request;
}

ResponseReader::Progress ResponseReader::Feed(std::string_view bytes) {
  Progress progress;
  while (!progress.finished && progress.used < bytes.size()) {
    const std::string_view rest = bytes.substr(progress.used);
    switch (state_) {
      case State::kHead:
        progress.used += ReadHead(rest);
        if (state_ == State::kSized && remaining_ == 0) Finish(progress);
        break;
      case State::kChunkSize:
      case State::kTrailer:
        progress.used += ReadChunkSize(rest, progress);
        break;
      case State::kSized:
      case State::kChunk:
      case State::kChunkEnd:
        progress.used += ReadBody(rest, progress);
        break;
    }
  }
  return progress;
}

std::size_t ResponseReader::ReadHead(std::string_view bytes) {
  if (head_.empty()) body_.clear();
  const std::size_t before = head_.size();
  head_ += bytes;
  const std::size_t end = head_.find("\r\n\r\n");
  if (end == std::string::npos) return bytes.size();
  head_.resize(end + 2);
  status_ = static_cast<int>(ParseNumber(std::string_view(head_).substr(9, 3)).value_or(0));
  if (HeaderValue(head_, "transfer-encoding") == "chunked") {
    state_ = State::kChunkSize;
  } else {
    state_ = State::kSized;
    remaining_ =
        static_cast<std::size_t>(ParseNumber(HeaderValue(head_, "content-length")).value_or(0));
  }
  head_.clear();
  return end + 4 - before;
}

std::size_t ResponseReader::ReadChunkSize(std::string_view bytes, Progress& progress) {
  const std::size_t newline = bytes.find('\n');
  line_ += bytes.substr(0, newline);
  if (newline == std::string_view::npos) return bytes.size();
  if (state_ == State::kTrailer) {
    if (line_ == "\r") Finish(progress);
  } else {
    remaining_ = static_cast<std::size_t>(ParseNumber(line_, 16).value_or(0));
    state_ = remaining_ == 0 ? State::kTrailer : State::kChunk;
  }
  line_.clear();
  return newline + 1;
}

std::size_t ResponseReader::ReadBody(std::string_view bytes, Progress& progress) {
  const std::string_view part = bytes.substr(0, remaining_);
  if (state_ != State::kChunkEnd) CountEvents(part, progress);
  remaining_ -= part.size();
  if (remaining_ > 0) return part.size();
  if (state_ == State::kSized) {
    Finish(progress);
  } else if (state_ == State::kChunk) {
    state_ = State::kChunkEnd;
    remaining_ = 2;
  } else {
    state_ = State::kChunkSize;
  }
  return part.size();
}

void ResponseReader::CountEvents(std::string_view payload, Progress& progress) {
  if (keep_body_ || status_ != 200) body_ += payload;
  if (after_newline_ && payload.front() == '\n') ++progress.events;
  for (std::size_t at = payload.find('\n'); at != std::string_view::npos;
       at = payload.find('\n', at + 1)) {
    if (at > 0 && payload[at - 1] == '\n') ++progress.events;
  }
  after_newline_ = payload.back() == '\n';
}

void ResponseReader::Finish(Progress& progress) {
  progress.finished = true;
  state_ = State::kHead;
  after_newline_ = false;
}

}  // namespace measure
