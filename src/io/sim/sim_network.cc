#include "io/sim/sim_network.h"

#include <algorithm>
#include <cstring>
#include <limits>
#include <utility>

#include <fmt/format.h>

#include "io/sim/sim_connection.h"
#include "io/sim/sim_listener.h"
#include "io/sim/sim_loop.h"
#include "io/sim/sim_stream.h"

namespace penstock::io {

namespace {

constexpr std::uint64_t kHashPrime = 0x100000001B3u;

bool IsWildcard(const Address& address) {
  return address.kind == Address::Kind::kTcp && (address.host == "0.0.0.0" || address.host == "::");
}

// True when a connect to `wanted` reaches a listener at `offered`.
bool Reaches(const Address& wanted, const Address& offered) {
  return wanted == offered ||
         (IsWildcard(offered) && wanted.kind == Address::Kind::kTcp && wanted.port == offered.port);
}

}  // namespace

SimNetwork::SimNetwork(SimLoop& loop, const SimOptions& options)
    : loop_(loop), options_(options), random_(options.seed) {}

SimNetwork::~SimNetwork() { CHECK(listeners_.empty(), "a listener outlives its loop"); }

void SimNetwork::FailOperation(std::uint64_t number, int error_number) {
  failing_operation_ = operations_ + number;
  failing_error_ = error_number;
}

void SimNetwork::ExhaustDescriptors(bool on) {
  exhausted_ = on;
  if (on) return;
  for (SimListener* listener : listeners_) listener->Wake();
}

std::optional<int> SimNetwork::CountOperation() {
  if (++operations_ != failing_operation_) return std::nullopt;
  return failing_error_;
}

std::uint64_t SimNetwork::CutAfter(std::size_t id) const {
  const auto found = cuts_.find(id);
  return found == cuts_.end() ? std::numeric_limits<std::uint64_t>::max() : found->second;
}

Duration SimNetwork::DrawLatency() {
  const Duration range = options_.latency_max - options_.latency_min;
  const auto steps = static_cast<std::uint64_t>(std::max<Duration::rep>(range.count(), 0)) + 1;
  return options_.latency_min + Duration(static_cast<Duration::rep>(random_.Below(steps)));
}

void SimNetwork::Trace(SimEvent event, std::size_t connection, std::string_view bytes) {
  auto mix = [this](std::uint64_t value) { trace_hash_ = (trace_hash_ ^ value) * kHashPrime; };
  mix(static_cast<std::uint64_t>(loop_.Now().time_since_epoch().count()));
  mix(static_cast<std::uint64_t>(event));
  mix(connection);
  mix(bytes.size());
  for (; !bytes.empty(); bytes.remove_prefix(std::min(bytes.size(), sizeof(std::uint64_t)))) {
    std::uint64_t word = 0;
    std::memcpy(&word, bytes.data(), std::min(bytes.size(), sizeof word));
    mix(word);
  }
}

bool SimNetwork::InUse(const Address& address, bool reuse_port) const {
  return std::ranges::any_of(listeners_, [&](const SimListener* listener) {
    return listener->address() == address && !(reuse_port && listener->reuse_port());
  });
}

Result<std::unique_ptr<Listener>> SimNetwork::Listen(Address address,
                                                     const ListenOptions& options) {
  if (options.tls != nullptr) {
    return Fail(Code::kUnsupported,
                fmt::format("cannot listen on {}: no TLS in the simulation", address.ToString()));
  }
  if (address.kind == Address::Kind::kTcp && address.port == 0) address.port = next_port_++;
  if (InUse(address, options.reuse_port)) {
    return Fail(Code::kConflict, fmt::format("cannot listen on {}: {}", address.ToString(),
                                             std::strerror(EADDRINUSE)));
  }
  auto listener = std::make_unique<SimListener>(*this, std::move(address), options);
  listeners_.push_back(listener.get());
  return listener;
}

void SimNetwork::RemoveListener(const SimListener* listener) { std::erase(listeners_, listener); }

SimListener* SimNetwork::FindListener(const Address& address) {
  std::vector<SimListener*> found;
  for (SimListener* listener : listeners_) {
    if (Reaches(address, listener->address())) found.push_back(listener);
  }
  if (found.empty()) return nullptr;
  return found.size() == 1 ? found[0] : found[Below(found.size())];
}

void SimNetwork::ArriveConnect(const std::shared_ptr<SimConnection>& connection,
                               const Address& address) {
  SimListener* listener = refuse_connects_ ? nullptr : FindListener(address);
  if (listener == nullptr) {
    Trace(SimEvent::kRefused, connection->id());
    connection->Answer(false);
    return;
  }
  if (listener->full()) {
    Trace(SimEvent::kLost, connection->id());
    return;
  }
  Trace(SimEvent::kConnect, connection->id());
  connection->Answer(true);
  Address peer;
  peer.kind = address.kind;
  if (address.kind == Address::Kind::kTcp) {
    peer.host = "127.0.0.1";
    peer.port = static_cast<std::uint16_t>(1024 + connection->id() % 40000);
  }
  listener->Enqueue(
      std::make_unique<SimStream>(loop_, connection, SimSide::kServer, std::move(peer)));
}

Task<Result<std::unique_ptr<Stream>>> SimNetwork::Connect(Address address, ConnectOptions options,
                                                          Deadline deadline) {
  auto failure = [&address](Code code, std::string_view why) {
    return Fail(code, fmt::format("cannot connect to {}: {}", address.ToString(), why));
  };
  if (options.tls != nullptr) {
    co_return failure(Code::kUnsupported, "no TLS in the simulation");
  }
  if ((co_await ThisTask()).cancelled()) co_return failure(Code::kCancelled, "cancelled");
  if (exhausted_) co_return failure(Code::kExhausted, std::strerror(EMFILE));
  if (const auto error = CountOperation()) {
    co_return failure(*error == EMFILE ? Code::kExhausted : Code::kUnavailable,
                      std::strerror(*error));
  }
  auto connection = std::make_shared<SimConnection>(*this, connections_++);
  auto client = std::make_unique<SimStream>(loop_, connection, SimSide::kClient, address);
  Event answered(loop_);
  connection->AskFor(address, answered);
  const Status waited = co_await answered.Wait(deadline);
  connection->ForgetAnswer();
  if (!waited) {
    co_return failure(waited.error().code,
                      waited.error().code == Code::kDeadline ? "deadline passed" : "cancelled");
  }
  if (!connection->accepted()) {
    co_return failure(Code::kUnavailable, std::strerror(ECONNREFUSED));
  }
  co_return client;
}

}  // namespace penstock::io
