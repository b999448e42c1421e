// A key is revoked: requests that run with it end at once.
#include <utility>

#include <fmt/format.h>

#include "gateway/call.h"
#include "gateway/gateway.h"

namespace penstock::gateway {

void Gateway::SetKeys(std::shared_ptr<const policy::KeyTable> keys) {
  for (Call* call = calls_; call != nullptr; call = call->next_call) {
    if (keys->Has(call->requester->key) || call->revoked) continue;
    call->revoked = true;
    call->exchange.CancelHandler();
  }
  authorizer_.SetKeys(std::move(keys));
}

void Gateway::Enlist(Call& call) {
  // Its body may have taken its time.
  call.revoked = call.requester->keys_version != authorizer_.version() &&
                 !authorizer_.Has(call.requester->key);
  call.next_call = calls_;
  call.call_link = &calls_;
  if (calls_ != nullptr) calls_->call_link = &call.next_call;
  calls_ = &call;
}

void Gateway::Call::Delist() {
  if (call_link == nullptr) return;
  *call_link = next_call;
  if (next_call != nullptr) next_call->call_link = call_link;
}

// The last words of a request whose key was revoked: an error, or an error event where its stream
// has begun. What it has produced is billed.
io::Task<void> Gateway::EndRevoked(Call& call) {
  if (call.exchange.finished()) co_return;
  const io::Shield shield = call.exchange.ShieldHandler();
  const bool may_add = call.response == nullptr || call.strip_usage ||
                       !call.exchange.CanRelayChunked() || call.response->between_chunks();
  call.response.reset();  // The replica stops at once.
  Error error{Code::kUnauthenticated, "the API key was revoked while the request ran",
              "authorization"};
  Settle(call, Traits(error.code).http_status);
  if (!call.exchange.head_sent()) {
    co_await RespondError(call.exchange, call.dialect, std::move(error), call.IdText());
  } else if (may_add) {  // Else a chunk was cut: so is the connection.
    const std::string event = fmt::format("data: {}\n\n", ErrorBody(call.dialect, error));
    (void)co_await call.exchange.FinishEither(event);
  }
}

}  // namespace penstock::gateway
