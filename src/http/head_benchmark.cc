// What a head and a chunk cost.
#include <benchmark/benchmark.h>

#include <string>

#include "http/chunked.h"
#include "http/head.h"
#include "http/head_scanner.h"

namespace penstock::http {
namespace {

const std::string kRequest =
    "POST /v1/chat/completions HTTP/1.1\r\nhost: 127.0.0.1:8080\r\naccept: application/json\r\n"
    "content-type: application/json\r\nuser-agent: OpenAI/JS 4.0\r\n"
    "authorization: Bearer 0123456789abcdef0123456789abcdef\r\ncontent-length: 290\r\n"
    "connection: keep-alive\r\n\r\n";

void ParseRequest(benchmark::State& state) {
  RequestHead head;
  for (auto _ : state) {
    HeadScanner scanner;
    benchmark::DoNotOptimize(scanner.Scan(kRequest, {}));
    benchmark::DoNotOptimize(ParseRequestHead(kRequest, {}, head));
  }
  state.SetBytesProcessed(static_cast<std::int64_t>(kRequest.size() * state.iterations()));
}
BENCHMARK(ParseRequest);

// One event of a stream in one read; then sixteen.
void DecodeChunks(benchmark::State& state) {
  std::string bytes;
  for (std::int64_t i = 0; i < state.range(0); ++i) {
    AppendChunkSize(196, bytes);
    bytes += std::string(196, 'x') + "\r\n";
  }
  ChunkedDecoder decoder;
  std::vector<std::string_view> pieces;
  for (auto _ : state) {
    pieces.clear();
    benchmark::DoNotOptimize(decoder.Decode(bytes, {}, pieces));
  }
  state.SetItemsProcessed(state.range(0) * static_cast<std::int64_t>(state.iterations()));
}
BENCHMARK(DecodeChunks)->Arg(1)->Arg(16);

// The same, every chunk cut in its middle: the slow path.
void DecodeCutChunks(benchmark::State& state) {
  const std::string bytes = "c4\r\n" + std::string(196, 'x') + "\r\n";
  ChunkedDecoder decoder;
  std::vector<std::string_view> pieces;
  for (auto _ : state) {
    pieces.clear();
    benchmark::DoNotOptimize(decoder.Decode(std::string_view(bytes).substr(0, 100), {}, pieces));
    benchmark::DoNotOptimize(decoder.Decode(std::string_view(bytes).substr(100), {}, pieces));
  }
}
BENCHMARK(DecodeCutChunks);

}  // namespace
}  // namespace penstock::http
