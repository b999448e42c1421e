// Gateway: answers the requests of one I/O thread, step by step, from the key to the last chunk.
//
// All calls on the loop's thread. Snapshots are set from there too (post them).
#pragma once

#include <cstddef>
#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <unordered_map>
#include <vector>

#include "api/peek.h"
#include "base/clock.h"
#include "base/random.h"
#include "base/result.h"
#include "gateway/authorizer.h"
#include "gateway/control_port.h"
#include "gateway/failure.h"
#include "gateway/live_table.h"
#include "gateway/queue_pacer.h"
#include "gateway/routes.h"
#include "gateway/stream_filter.h"
#include "http/client.h"
#include "http/exchange.h"
#include "meter/metrics.h"
#include "meter/payload_log.h"
#include "meter/usage_record.h"
#include "policy/routing_table.h"

namespace penstock::gateway {

struct Hop;

struct GatewayLimits {
  // Until a replica's answer begins, queueing there included.
  Duration answer_wait_max = std::chrono::seconds(600);
  // Between two pieces of an answer.
  Duration answer_stall_max = std::chrono::seconds(120);
  // Replicas that one request is sent to, at most.
  std::size_t attempts_max = 3;
  // Of an answer that is not a stream: what is kept to read its usage.
  std::size_t answer_bytes_max = std::size_t{16} * 1024 * 1024;
  // A stream is ended beyond so many times the output that its request allows (and 64 deltas); 0:
  // never. See OutputBound.
  std::uint32_t output_overrun_factor = 2;
};

class Gateway {
 public:
  // `metrics` outlives the gateway. `ready` tells whether the process takes requests (not while it
  // starts or drains); it is called on the loop's thread.
  Gateway(io::Loop& loop, meter::Metrics& metrics, ControlPort control, std::function<bool()> ready,
          GatewayLimits limits = {});
  ~Gateway();

  // What PoolSet::Apply() made of the newest routing table.
  void SetRoutes(std::shared_ptr<const LiveTable> routes) { routes_ = std::move(routes); }
  // Requests of keys that are not in `keys` any more end at once.
  void SetKeys(std::shared_ptr<const policy::KeyTable> keys);

  // Answers the paths that tell what was used; without it there are none.
  void SetReportPort(ControlPort reports) { reports_ = std::move(reports); }
  // Takes every request's usage record from now on, just before its last chunk is sent. Outlives
  // the gateway.
  void SetUsageSink(meter::UsageSink* sink) { usage_sink_ = sink; }

  // Takes requests and answers of endpoints that opted in. Outlives the gateway.
  void SetPayloadSink(meter::PayloadSink* sink) { payload_sink_ = sink; }

  // The http::Handler. The gateway outlives the exchange.
  io::Task<void> Handle(http::Exchange& exchange);

 private:
  struct Call;  // What the steps of one generation request share.
  class PassOp;
  class Relayed;  // A stream of one, on its way to the client.

  // A stream's frames live as long as the stream, and clang folds the frames of what a coroutine
  // awaits into its own, those of branches not taken too. So what only chooses is no coroutine, and
  // what a relayed stream awaits before or after its events is kept out of line.
  io::Task<void> Open(http::Exchange& exchange, Route route);
  io::Task<void> WithKey(http::Exchange& exchange, Route route);
  io::Task<void> ListModels(http::Exchange& exchange, Route route,
                            std::shared_ptr<const Requester> requester);
  io::Task<void> Control(http::Exchange& exchange, std::shared_ptr<const Requester> requester,
                         const ControlPort& port);
  io::Task<void> Generate(http::Exchange& exchange, Route route,
                          std::shared_ptr<const Requester> requester);
  // From now on the call ends when its key is revoked.
  void Enlist(Call& call);
  [[gnu::noinline]] io::Task<void> EndRevoked(Call& call);
  Result<std::unique_ptr<Call>> Prepare(http::Exchange& exchange, const Route& route,
                                        Result<std::string_view> body,
                                        const std::shared_ptr<const Requester>& requester);
  // Writes the call's usage record, once: before the last chunk of its answer, whose status is
  // `status`, or, where there is none, at the call's end.
  void Settle(Call& call, int status);
  // It goes on at another place than the one that had no room: from now on metered there. The
  // first place keeps the refusal: a record without tokens.
  void SettleSpilled(Call& call);
  // It went on to `hop`, which failed with `status`, too: counted and written down there as well.
  void SettleSpilledInVain(Call& call, const Hop& hop, int status);
  // The record of a place that did not serve: without tokens.
  void RecordAttempt(const Call& call, const Hop& hop, int status, std::string_view spilled_from);
  meter::EndpointMetrics& MetricsOf(const std::string& endpoint);
  // Hands what was kept of request and answer to the payload sink.
  void LogPayload(Call& call, int status);
  // The record of a request that was refused before there was a call.
  meter::RequestId SettleRefused(const http::Exchange& exchange, const Route& route,
                                 std::string_view requester, const Error& error);
  Result<Operation> OperationOf(const Route& route, const RequestPeek& peek) const;
  Result<std::shared_ptr<const LiveEndpoint>> EndpointOf(const Route& route,
                                                         const RequestPeek& peek,
                                                         const Requester& requester) const;
  static std::optional<policy::PermissionLevel> RightOf(const LiveEndpoint& endpoint,
                                                        const Requester& requester);
  // True: call.response is there, to be relayed. False: the client was told why not, or is gone.
  [[gnu::noinline]] io::Task<bool> Obtain(Call& call);
  std::optional<Failure> CheckOperation(const Call& call) const;
  std::optional<Failure> CheckLimits(Call& call);
  [[gnu::noinline]] io::Task<std::optional<Failure>> Attempt(Call& call);
  [[gnu::noinline]] io::Task<std::optional<Failure>> Admit(Call& call);
  [[gnu::noinline]] io::Task<std::optional<policy::Refusal>> WaitForTurn(Call& call,
                                                                         std::shared_ptr<Pool> pool,
                                                                         const Pool::Entry& entry);
  // Sets call.response: the answer's head has arrived. kCancelled: the client is gone.
  [[gnu::noinline]] io::Task<Status> Send(Call& call);
  [[gnu::noinline]] io::Task<Failure> TakeAnswer(Call& call);
  [[gnu::noinline]] io::Task<void> RespondFailure(Call& call, Failure failure);
  bool MayTryAnother(const Call& call, const Error& error) const;
  io::Task<void> Relay(Call& call);
  [[gnu::noinline]] io::Task<void> RelayError(Call& call);
  [[gnu::noinline]] io::Task<void> RelayWhole(Call& call);
  static bool IsStream(const Call& call);
  // Lives as long as the stream: what came before it has ended by then.
  io::Task<void> RelayStream(std::unique_ptr<Call> call);
  // Prepares the answer's head and frees what a stream needs no more. True: relay verbatim.
  bool StartStream(Call& call);
  // Counts a piece. Where the stream broke, call.broken says how.
  void Count(Relayed& stream, const http::BodyPiece& piece);
  // Passes one piece on, or what it was that came in its place.
  enum class Passing : std::uint8_t { kMore, kEnd, kWait };
  Passing Pass(Relayed& stream, Result<http::BodyPiece> next);
  [[gnu::noinline]] io::Task<Passing> SendRest(Relayed& stream);
  [[gnu::noinline]] io::Task<void> EndStream(Relayed& stream);
  http::SendOp Forward(Call& call, const http::BodyPiece& piece, bool verbatim);
  [[gnu::noinline]] io::Task<void> EndOverrun(Call& call, const StreamFilter& filter,
                                              bool verbatim);
  [[gnu::noinline]] io::Task<void> EndBrokenStream(Call& call, bool framed_here);
  io::Task<void> RespondAzureNotFound(http::Exchange& exchange);
  [[gnu::noinline]] io::Task<void> RespondError(http::Exchange& exchange, Dialect dialect,
                                                Error error, std::string request_id = {});
  // The client's own, or `id` as text.
  static std::string IdFor(const http::Exchange& exchange, const meter::RequestId& id);
  meter::RequestId NewRequestId();

  io::Loop& loop_;
  meter::Metrics& metrics_;
  meter::UsageSink* usage_sink_ = nullptr;
  meter::PayloadSink* payload_sink_ = nullptr;
  ControlPort control_;
  ControlPort reports_;
  std::function<bool()> ready_;
  GatewayLimits limits_;
  Authorizer authorizer_;
  QueuePacer pacer_;
  http::Client client_;
  std::shared_ptr<const LiveTable> routes_ = std::make_shared<const LiveTable>();
  std::unordered_map<std::string, meter::EndpointMetrics*> endpoint_metrics_;
  Call* calls_ = nullptr;  // That run: a list through them, newest first.
  std::string assembled_;  // What a stream filter puts together; shared, since writes copy.
  std::uint64_t run_;      // Random: tells this gateway's request ids from every other's.
  std::uint64_t next_request_ = 0;
  Random random_;  // For traffic splits.
};

}  // namespace penstock::gateway
