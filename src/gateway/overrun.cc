// A stream that goes on beyond what its request allows is ended in its upstream's place.
#include <algorithm>
#include <cstdint>
#include <string>

#include "api/chunk_head.h"
#include "api/chunk_writer.h"
#include "gateway/call.h"
#include "gateway/gateway.h"

namespace penstock::gateway {

namespace {

// More are not told their end one by one.
constexpr std::int64_t kChoicesMax = 128;

}  // namespace

// The last words in the upstream's place: every choice ends for its length. What was passed on is
// billed.
io::Task<void> Gateway::EndOverrun(Call& call, const StreamFilter& filter, bool verbatim) {
  call.metrics->StreamOverran();
  const int status = call.response->status();
  // Within a chunk nothing can be added: the client sees that its stream was cut.
  call.upstream_failed = verbatim && !call.response->between_chunks();
  Settle(call, status);
  call.response.reset();  // The replica stops.
  if (call.upstream_failed) co_return;
  const ChunkHead head = ReadChunkHead(filter.memory());
  const bool asked_usage = !call.strip_usage;
  const ChunkWriter writer(
      call.operation == Operation::kCompletions ? ChunkFormat::kCompletion : ChunkFormat::kChat,
      {.id = head.id, .model = head.model, .created_s = head.created_s}, asked_usage);
  std::string events;
  if (verbatim && filter.inside_event()) events = "\n\n";
  const std::int64_t choices = call.admission.grant().size.choices;
  for (std::int32_t i = 0; i < std::clamp<std::int64_t>(choices, 1, kChoicesMax); ++i) {
    writer.AppendFinish(events, FinishReason::kLength, i);
  }
  if (asked_usage) writer.AppendUsage(events, call.usage.tokens);
  ChunkWriter::AppendDone(events);
  call.disconnected = !co_await call.exchange.FinishEither(events);
}

}  // namespace penstock::gateway
