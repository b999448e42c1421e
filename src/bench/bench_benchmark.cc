// What a token event costs the load generator beyond the kernel: parsing, judging, stamping.
#include <benchmark/benchmark.h>

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "bench/drive/reply_reader.h"
#include "bench/record/record_json.h"

namespace penstock::bench {
namespace {

// `state.range(0)` events a read, each a piece of its own, as servers send them.
void ReadEvents(benchmark::State& state) {
  const std::string event =
      "data: {\"id\":\"chatcmpl-8f2c\",\"object\":\"chat.completion.chunk\",\"created\":1767323045,"
      "\"model\":\"reference-8b\",\"choices\":[{\"index\":0,\"delta\":{\"content\":\" token\"},"
      "\"finish_reason\":null}]}\n\n";
  std::string padded = event;
  padded.append(64, '\0');
  const std::string_view view(padded.data(), event.size());
  const std::vector<std::string_view> pieces(static_cast<std::size_t>(state.range(0)), view);
  const int reads = 256 / static_cast<int>(state.range(0));
  std::int64_t at_ns = 0;
  while (state.KeepRunningBatch(256)) {
    RequestRecord record;
    record.output_tokens_wanted = 256;
    ReplyReader reader(record);
    reader.Head(200, "text/event-stream", at_ns);
    for (int read = 0; read < reads; ++read) reader.Read(pieces, at_ns += 1000);
    reader.End(at_ns, ErrorKind::kNone, "");
    benchmark::DoNotOptimize(record);
  }
}
BENCHMARK(ReadEvents)->Arg(1)->Arg(16);

void WriteOneRecord(benchmark::State& state) {
  RequestRecord record;
  record.chunks = 256;
  record.gaps_ns.assign(255, 20'123'456);
  std::string line;
  for (auto _ : state) {
    line.clear();
    AppendLine(record, line);
    benchmark::DoNotOptimize(line);
  }
}
BENCHMARK(WriteOneRecord);

}  // namespace
}  // namespace penstock::bench
