// What the hot paths cost: writing a chunk, reading a stream of chunks, peeking at a request.
#include <benchmark/benchmark.h>

#include <string>

#include "api/chunk_writer.h"
#include "api/peek.h"
#include "api/requests.h"
#include "api/sse.h"
#include "api/stream_meter.h"

namespace penstock {
namespace {

constexpr ResponseHead kHead{
    .id = "chatcmpl-0123456789abcdef", .model = "main.default.llama", .created_s = 1700000000};

void WriteChunk(benchmark::State& state) {
  const ChunkWriter writer(ChunkFormat::kChat, kHead, false);
  std::string out;
  for (auto _ : state) {
    out.clear();
    writer.AppendText(out, " token");
    benchmark::DoNotOptimize(out.data());
  }
  state.counters["event_bytes"] = static_cast<double>(out.size());
}
BENCHMARK(WriteChunk);

void WriteChunkWithEscapes(benchmark::State& state) {
  const ChunkWriter writer(ChunkFormat::kChat, kHead, false);
  std::string out;
  for (auto _ : state) {
    out.clear();
    writer.AppendText(out, "\"é\n");
    benchmark::DoNotOptimize(out.data());
  }
}
BENCHMARK(WriteChunkWithEscapes);

// One event a read, as on a paced stream; per event.
void ParseAndMeterStream(benchmark::State& state) {
  const ChunkWriter writer(ChunkFormat::kChat, kHead, false);
  std::string event;
  writer.AppendText(event, " token");
  SseParser parser;
  StreamMeter meter;
  std::uint64_t bytes = 0;
  for (auto _ : state) {
    parser.Feed(event);
    for (auto next = parser.Next(); next && *next; next = parser.Next()) {
      bytes += meter.Read((*next)->data).text_bytes;
    }
  }
  benchmark::DoNotOptimize(bytes);
  state.counters["event_bytes"] = static_cast<double>(event.size());
}
BENCHMARK(ParseAndMeterStream);

std::string ContentChunk() {
  const ChunkWriter writer(ChunkFormat::kChat, kHead, false);
  std::string event;
  writer.AppendText(event, " token");
  return event.substr(6, event.size() - 8);
}

void MeterLearned(benchmark::State& state) {
  const std::string data = ContentChunk();
  StreamMeter meter;
  for (auto _ : state) benchmark::DoNotOptimize(meter.Read(data));
}
BENCHMARK(MeterLearned);

void MeterFullParse(benchmark::State& state) {
  const std::string data = ContentChunk();
  for (auto _ : state) benchmark::DoNotOptimize(ParseStreamChunk(data));
}
BENCHMARK(MeterFullParse);

// A chat of 10 kB in eight messages.
std::string LargeRequest() {
  std::string body = R"({"model":"main.default.llama","stream":true,"max_tokens":256,"messages":[)";
  for (int i = 0; i < 8; ++i) {
    body += i == 0 ? "" : ",";
    body += R"({"role":"user","content":")";
    while (body.size() < static_cast<std::size_t>(i + 1) * 1250) {
      body += "The quick brown fox jumps over the lazy dog.\\n";
    }
    body += "\"}";
  }
  return body + "]}";
}

void Peek10kB(benchmark::State& state) {
  std::string body = LargeRequest();
  const PaddedView padded(body);
  for (auto _ : state) benchmark::DoNotOptimize(PeekRequest(padded));
  state.SetBytesProcessed(static_cast<std::int64_t>(body.size()) * state.iterations());
}
BENCHMARK(Peek10kB);

void RewriteRequest10kB(benchmark::State& state) {
  std::string body = LargeRequest();
  const auto peek = PeekRequest(PaddedView(body));
  for (auto _ : state) {
    benchmark::DoNotOptimize(
        RewriteRequest(body, *peek, {.request_usage = true, .model = "other"}));
  }
}
BENCHMARK(RewriteRequest10kB);

void ParseChatRequest10kB(benchmark::State& state) {
  std::string body = LargeRequest();
  const PaddedView padded(body);
  for (auto _ : state) benchmark::DoNotOptimize(ParseChatRequest(padded));
}
BENCHMARK(ParseChatRequest10kB);

void Peek300B(benchmark::State& state) {
  std::string body =
      R"({"model":"main.default.llama","stream":true,"stream_options":{"include_usage":true},)"
      R"("max_tokens":64,"temperature":0.7,"messages":[{"role":"system","content":"Be brief."},)"
      R"({"role":"user","content":"Which river has the greatest discharge of water, and why?"}]})";
  const PaddedView padded(body);
  for (auto _ : state) benchmark::DoNotOptimize(PeekRequest(padded));
}
BENCHMARK(Peek300B);

}  // namespace
}  // namespace penstock
