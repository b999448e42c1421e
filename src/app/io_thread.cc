#include "app/io_thread.h"

#include <pthread.h>

#include <memory>
#include <utility>

namespace penstock::app {

IoThread::IoThread(meter::Metrics& metrics, std::unique_ptr<meter::LedgerWriter> ledger,
                   const MakeControlPort& control, const std::atomic<bool>& ready,
                   const http::ServerLimits& limits, const gateway::GatewayLimits& gateway_limits)
    : ledger_(std::move(ledger)),
      gateway_(
          loop_, metrics, control(loop_), [&ready] { return ready.load(); }, gateway_limits),
      server_(
          loop_, [this](http::Exchange& exchange) { return gateway_.Handle(exchange); }, limits),
      scope_(loop_) {
  gateway_.SetUsageSink(ledger_.get());
}

IoThread::~IoThread() = default;

Result<io::Address> IoThread::Listen(const io::Address& address, const io::ListenOptions& options) {
  auto listener = loop_.Listen(address, options);
  if (!listener) return Fail(listener.error());
  io::Address bound = (*listener)->address();
  server_.Serve(std::move(*listener));
  return bound;
}

void IoThread::Start() {
  thread_ = std::jthread([this] {
    pthread_setname_np(pthread_self(), "penstock-io");
    loop_.Run();
  });
}

void IoThread::SetRoutes(std::shared_ptr<const gateway::LiveTable> routes) {
  if (!thread_.joinable()) {
    gateway_.SetRoutes(std::move(routes));  // As in SetKeys().
    return;
  }
  loop_.Post(
      [this, routes = std::move(routes)]() mutable { gateway_.SetRoutes(std::move(routes)); });
}

void IoThread::SetKeys(std::shared_ptr<const policy::KeyTable> keys) {
  if (!thread_.joinable()) {
    // Before the first request, which may be there before the loop runs what was posted to it.
    gateway_.SetKeys(std::move(keys));
    return;
  }
  loop_.Post([this, keys = std::move(keys)]() mutable { gateway_.SetKeys(std::move(keys)); });
}

io::Task<void> IoThread::RunDrain(IoThread& thread, Deadline deadline,
                                  std::function<void(std::size_t)> done) {
  done(co_await thread.server_.Drain(deadline));
  thread.loop_.Stop();
}

void IoThread::BeginDrain(Deadline deadline, std::function<void(std::size_t)> done) {
  loop_.Post([this, deadline, done = std::move(done)]() mutable {
    scope_.Spawn("drain", RunDrain(*this, deadline, std::move(done)));
  });
}

void IoThread::Join() {
  if (thread_.joinable()) thread_.join();
  gateway_.SetUsageSink(nullptr);
  gateway_.SetPayloadSink(nullptr);
  ledger_.reset();
}

}  // namespace penstock::app
