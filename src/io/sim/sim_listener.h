// SimListener: a simulated listening socket with its backlog.
#pragma once

#include <cstddef>
#include <deque>
#include <memory>
#include <utility>

#include "io/event.h"
#include "io/loop.h"
#include "io/sim/sim_stream.h"

namespace penstock::io {

class SimNetwork;

class SimListener final : public Listener {
 public:
  SimListener(SimNetwork& network, Address address, const ListenOptions& options);
  ~SimListener() override;

  Task<Result<std::unique_ptr<Stream>>> Accept() override;
  const Address& address() const override { return address_; }

  bool reuse_port() const { return reuse_port_; }
  bool full() const { return waiting_.size() >= backlog_; }
  // A connection has come; it waits here until it is accepted.
  void Enqueue(std::unique_ptr<SimStream> stream);
  // Descriptors are free again.
  void Wake() { changed_.Set(); }

 private:
  SimNetwork& network_;
  Address address_;
  std::size_t backlog_;
  bool reuse_port_;
  std::deque<std::unique_ptr<SimStream>> waiting_;
  Event changed_;
};

}  // namespace penstock::io
