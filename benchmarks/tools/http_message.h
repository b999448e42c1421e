// The little of HTTP/1.1 that the measuring tools need: whole requests in, whole or streamed
// responses back.
//
// It trusts its peers (programs under measurement on loopback), so it is no example for a server.
#pragma once

#include <cstddef>
#include <optional>
#include <string>
#include <string_view>

namespace measure {

// One request; its views point into the bytes that were parsed.
struct Request {
  std::string_view method = {};
  std::string_view path = {};
  std::string_view head = {};
  std::string_view body = {};
  std::size_t size = 0;  // Bytes of head and body together.
};

// The first request in `bytes`; none while it is incomplete.
std::optional<Request> ParseRequest(std::string_view bytes);

// Value of a header, matched without case; empty if absent.
std::string_view HeaderValue(std::string_view head, std::string_view name);

// The number after `"name":` in a JSON text, or none. Does not look at nesting.
std::optional<long> JsonNumber(std::string_view json, std::string_view name);
bool JsonTrue(std::string_view json, std::string_view name);

// Reads one response after the other from a connection and counts the server-sent events in their
// bodies.
class ResponseReader {
 public:
  struct Progress {
    int events = 0;         // Ended by a blank line within these bytes.
    bool finished = false;  // The response is complete. What follows it belongs to the next one.
    std::size_t used = 0;   // Bytes consumed.
  };

  // With `keep_body` the body of the running response can be read back as text; a refusal's always
  // can.
  explicit ResponseReader(bool keep_body) : keep_body_(keep_body) {}

  Progress Feed(std::string_view bytes);

  int status() const { return status_; }  // Of the running or last response; 0 before a head.
  const std::string& body() const { return body_; }  // Of the running or last response.

 private:
  enum class State { kHead, kSized, kChunkSize, kChunk, kChunkEnd, kTrailer };

  std::size_t ReadHead(std::string_view bytes);
  std::size_t ReadChunkSize(std::string_view bytes, Progress& progress);
  std::size_t ReadBody(std::string_view bytes, Progress& progress);
  void CountEvents(std::string_view payload, Progress& progress);
  void Finish(Progress& progress);

  bool keep_body_;
  State state_ = State::kHead;
  int status_ = 0;
  std::string head_;
  std::string body_;
  std::string line_;  // A chunk's size line, while it is incomplete.
  std::size_t remaining_ =
      0;  // Bytes left of a sized body, a chunk, or the line end behind a chunk.
  bool after_newline_ = false;
};

}  // namespace measure
