#include "app/io_thread.h"

#include <pthread.h>

#include <memory>
#include <utility>

#include "io/event.h"

namespace penstock::app {

IoThread::IoThread(meter::Metrics& metrics, const gateway::ControlPort& control,
                   const std::atomic<bool>& ready, const http::ServerLimits& limits,
                   const gateway::GatewayLimits& gateway_limits)
    : gateway_(
          loop_, metrics, control, [&ready] { return ready.load(); }, gateway_limits),
      server_(
          loop_, [this](http::Exchange& exchange) { return gateway_.Handle(exchange); }, limits),
      scope_(loop_) {}

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

void IoThread::SetRoutes(std::shared_ptr<const policy::RoutingTable> routes) {
  loop_.Post(
      [this, routes = std::move(routes)]() mutable { gateway_.SetRoutes(std::move(routes)); });
}

void IoThread::SetKeys(std::shared_ptr<const policy::KeyTable> keys) {
  loop_.Post([this, keys = std::move(keys)]() mutable { gateway_.SetKeys(std::move(keys)); });
}

io::Task<void> IoThread::RunDrain(IoThread& thread, io::Loop& home, Deadline deadline,
                                  std::function<void(std::size_t)> done) {
  const std::size_t cut = co_await thread.server_.Drain(deadline);
  home.Post([done = std::move(done), cut] { done(cut); });
  thread.loop_.Stop();
}

io::Task<std::size_t> IoThread::Drain(io::Loop& home, Deadline deadline) {
  struct Answer {
    explicit Answer(io::Loop& loop) : event(loop) {}
    io::Event event;
    std::size_t cut = 0;
  };
  Answer answer(home);
  const io::Shield shield(co_await io::ThisTask());  // `answer` must outlive the drain.
  loop_.Post([this, &home, deadline, &answer] {
    scope_.Spawn("drain", RunDrain(*this, home, deadline, [&answer](std::size_t cut) {
                   answer.cut = cut;
                   answer.event.Set();
                 }));
  });
  const Status drained = co_await answer.event.Wait(Deadline::Never());
  CHECK(drained, "a shielded wait without deadline can only be done");
  co_return answer.cut;
}

void IoThread::Join() {
  if (thread_.joinable()) thread_.join();
}

}  // namespace penstock::app
