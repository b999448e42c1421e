// Property: whatever a client sends, however it is cut, the server neither crashes nor hangs: the
// connection ends, every answer is well-formed, and the cuts do not change them.
#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "base/check.h"
#include "base/log.h"
#include "http/head.h"
#include "http/head_scanner.h"
#include "http/server.h"
#include "io/sim/sim_loop.h"

namespace penstock::http {
namespace {

constexpr ServerLimits kLimits{.head = {.bytes_max = 512, .fields_max = 8, .target_bytes_max = 64},
                               .body_bytes_max = 64,
                               .requests_per_connection_max = 8,
                               .pipelined_bytes_max = 2048,
                               .unread_body_bytes_max = 32};

// The path chooses how it is answered.
io::Task<void> Handle(Exchange& exchange) {
  const std::string path(exchange.head().path);
  if (path != "/unread") {
    const auto body = co_await exchange.ReadBody();
    if (!body) {
      static_cast<void>(co_await exchange.RespondError(body.error()));
      co_return;
    }
    CHECK(body->size() <= kLimits.body_bytes_max, "the body's limit");
    if (path == "/stream") {
      exchange.StartStream(200, "text/plain");
      static_cast<void>(co_await exchange.WriteChunk(*body));
      exchange.ReleaseRequest();
      static_cast<void>(co_await exchange.Finish());
      co_return;
    }
  }
  if (path == "/silent") co_return;
  static_cast<void>(co_await exchange.Respond(200, "text/plain", path));
}

io::Task<void> Talk(io::Loop& loop, std::string_view bytes, std::size_t step, std::string& said) {
  Server server(loop, Handle, kLimits);
  auto listener = loop.Listen({.host = "127.0.0.1", .port = 0}, {});
  const io::Address address = (*listener)->address();
  server.Serve(*std::move(listener));
  {
    auto stream = co_await loop.Connect(address, {}, Deadline::Never());
    for (std::size_t at = 0; at < bytes.size(); at += step) {
      if (!co_await (*stream)->Write(bytes.substr(at, step), Deadline::Never())) break;
      if (!co_await loop.Sleep(std::chrono::milliseconds(1))) break;
    }
    (*stream)->ShutdownWrite();
    std::string piece(4096, '\0');
    for (;;) {
      const auto read = co_await (*stream)->Read(piece, Deadline::Never());
      if (!read || *read == 0) break;
      said.append(piece, 0, *read);
    }
  }
  server.Stop();
  co_await server.Join();
  CHECK(server.counters().connections_open.value() == 0, "a connection is left");
}

std::string Converse(std::string_view bytes, std::size_t step) {
  io::SimLoop loop;
  std::string said;
  io::RunBlocking(loop, Talk(loop, bytes, step, said));
  CHECK(loop.last_end() == io::SimLoop::End::kStopped, "the conversation hangs");
  return said;
}

void CheckFirstAnswer(std::string_view said) {
  if (said.empty()) return;
  HeadScanner scanner;
  const auto end = scanner.Scan(said, {});
  CHECK(end && *end > 0, "an answer begins with a head");
  ResponseHead head;
  CHECK(ParseResponseHead(said.substr(0, *end), "GET", {}, head), "and it is a good one");
}

}  // namespace
}  // namespace penstock::http

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  using penstock::http::Converse;
  static const bool quiet = penstock::SetLogLevel("off");
  if (!quiet || size == 0 || size > 4096) return 0;
  const std::string_view bytes(reinterpret_cast<const char*>(data) + 1, size - 1);
  const std::string whole = Converse(bytes, bytes.size() + 1);
  penstock::http::CheckFirstAnswer(whole);
  const std::string cut = Converse(bytes, 1 + data[0] % 32);
  penstock::http::CheckFirstAnswer(cut);
  // Whoever is refused is not read to the end, so a reset may swallow answers: then one is the
  // other's beginning.
  CHECK(whole.starts_with(cut) || cut.starts_with(whole), "a cut changed the answers");
  return 0;
}
