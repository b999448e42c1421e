// A generation request up to the upstream's answer: Gateway::Generate and its steps.
#include <array>
#include <optional>
#include <utility>

#include <fmt/format.h>

#include "gateway/call.h"
#include "gateway/gateway.h"

namespace penstock::gateway {

Result<Operation> Gateway::OperationOf(const Route& route, const RequestPeek& peek) const {
  if (route.operation != Operation::kByBody) return route.operation;
  if (peek.has_messages) return Operation::kChat;
  if (peek.has_prompt) return Operation::kCompletions;
  if (peek.has_input) return Operation::kEmbeddings;
  return Fail(
      Code::kInvalidArgument,
      "the body needs one of 'messages' (chat), 'prompt' (completions), 'input' (embeddings)",
      "messages");
}

Result<std::shared_ptr<const policy::EndpointRoute>> Gateway::EndpointOf(
    const Route& route, const RequestPeek& peek) const {
  const std::string& name = route.name.empty() ? peek.model : route.name;
  if (name.empty()) {
    return Fail(Code::kInvalidArgument, "model: missing; it names the endpoint to call", "model");
  }
  auto endpoint = routes_->Find(name);
  if (!endpoint) {
    return Fail(Code::kNotFound, fmt::format("model '{}': no endpoint has this name", name),
                "model");
  }
  return endpoint;
}

io::Task<void> Gateway::Generate(http::Exchange& exchange, Route route) {
  auto call = Prepare(exchange, route, co_await exchange.ReadBody());
  if (!call) {
    co_await RespondError(exchange, route.dialect, std::move(call).error());
    co_return;
  }
  exchange.CancelWhenPeerGone();
  if (auto sent = co_await Send(**call); sent) {
    co_await Relay(**call);
  } else if (sent.error().code == Code::kCancelled) {
    (*call)->disconnected = true;
  } else {
    co_await RespondError(exchange, (*call)->dialect, std::move(sent).error());
  }
}

Result<std::unique_ptr<Gateway::Call>> Gateway::Prepare(http::Exchange& exchange,
                                                        const Route& route,
                                                        Result<std::string_view> body) {
  if (!body) return Fail(std::move(body).error());
  const auto peek = PeekRequest(PaddedView::Unsafe(*body));
  if (!peek) return Fail(peek.error());
  auto endpoint = EndpointOf(route, *peek);
  if (!endpoint) return Fail(std::move(endpoint).error());
  const auto operation = OperationOf(route, *peek);
  if (!operation) return Fail(operation.error());
  meter::EndpointMetrics*& metrics = endpoint_metrics_[(*endpoint)->name];
  if (metrics == nullptr) metrics = &metrics_.ForEndpoint((*endpoint)->name);
  auto call = std::make_unique<Call>(exchange, *metrics, loop_);
  call->endpoint = *std::move(endpoint);
  call->operation = *operation;
  call->dialect = route.dialect;
  call->body = *body;
  const std::string_view given_id = exchange.head().fields.Get("x-request-id");
  call->request_id = given_id.empty() ? NewRequestId() : std::string(given_id.substr(0, 128));
  if (peek->stream && !peek->include_usage) {
    call->strip_usage = true;
    call->rewritten = WithUsageRequested(*body, *peek);
    call->body = call->rewritten;
  }
  return call;
}

bool Gateway::MayTryAnother(const Call& call, const Error& error) const {
  const bool lost = error.code == Code::kUnavailable || error.code == Code::kUpstream ||
                    error.code == Code::kClosed;
  return lost && !call.exchange.head_sent();
}

io::Task<Status> Gateway::Send(Call& call) {
  const std::array<http::Field, 1> fields{{{"x-request-id", call.request_id}}};
  std::vector<std::uint64_t> tried;
  std::optional<Error> last;
  while (tried.size() < limits_.attempts_max) {
    // The newest route: a replica may have come back since the request arrived.
    if (auto newest = routes_->Find(call.endpoint->name)) call.endpoint = std::move(newest);
    const policy::ReplicaRoute* replica =
        picker_.Pick(call.endpoint->served.front().replicas, tried);
    // Shared: the cache may be cleared while we wait.
    const auto origin = replica == nullptr ? nullptr : OriginOf(*replica);
    if (origin == nullptr) break;
    if (!tried.empty()) call.metrics.FailedOver();
    tried.push_back(replica->id);
    call.in_flight.emplace(picker_, replica->id);
    auto response = co_await client_.Send(*origin,
                                          {.method = "POST",
                                           .target = UpstreamPath(call.operation),
                                           .content_type = "application/json",
                                           .body = call.body,
                                           .fields = fields},
                                          Deadline::After(loop_.Now(), limits_.answer_wait_max));
    if (response) {
      call.response = *std::move(response);
      co_return Status();
    }
    call.in_flight.reset();
    last = std::move(response).error();
    if (last->code == Code::kCancelled || !MayTryAnother(call, *last)) break;
  }
  if (!last) {
    co_return Fail(Code::kUnavailable,
                   fmt::format("endpoint '{}' has no replica that is ready", call.endpoint->name));
  }
  if (last->code == Code::kClosed || last->code == Code::kUpstream) last->code = Code::kUnavailable;
  co_return Fail(*std::move(last));
}

std::shared_ptr<const http::Origin> Gateway::OriginOf(const policy::ReplicaRoute& replica) {
  std::shared_ptr<const http::Origin>& slot = origins_[replica.id];
  if (!slot) {
    auto address = io::Address::Parse(replica.address);
    if (!address) return nullptr;
    const bool unix_socket = address->kind == io::Address::Kind::kUnix;
    std::string host = unix_socket ? "localhost" : address->ToString();
    slot = std::make_shared<http::Origin>(
        http::Origin{.address = std::move(*address), .connect = {}, .host = std::move(host)});
  }
  return slot;
}

std::string Gateway::NewRequestId() { return fmt::format("req_{:016x}", random_.Next()); }

}  // namespace penstock::gateway
