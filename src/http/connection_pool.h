// ConnectionPool: idle connections of a client, kept per server and closed when they are old.
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <string>
#include <unordered_map>
#include <vector>

#include "base/clock.h"
#include "http/ack_policy.h"
#include "http/limits.h"
#include "http/origin.h"
#include "io/loop.h"
#include "io/stream.h"
#include "io/timer_wheel.h"

namespace penstock::http {

class ConnectionPool : private io::Timer {
 public:
  // `limits` outlives the pool.
  ConnectionPool(io::Loop& loop, const ClientLimits& limits) : loop_(loop), limits_(limits) {}

  // A number for all connections that are as good as one another for `origin`. Numbers last as long
  // as the pool.
  std::size_t Find(const Origin& origin);

  // A kept connection, the freshest first; null if there is none that seems alive.
  std::unique_ptr<io::Stream> Take(std::size_t place);
  // Keeps a connection on which nothing is under way, or closes it where there are enough.
  void Keep(std::size_t place, std::unique_ptr<io::Stream> stream);

  // What AckPolicy knows of the server of a place.
  AckServer& acks_of(std::size_t place) { return places_[place].acks; }

  void CloseAll();
  std::size_t idle() const { return idle_; }

 private:
  struct Idle {
    std::unique_ptr<io::Stream> stream;
    TimePoint since;
  };
  struct Place {
    io::Address address;
    std::shared_ptr<const io::TlsContext> tls;
    std::string tls_server_name;
    std::vector<Idle> idle;  // Newest last.
    AckServer acks;
  };

  void OnTimer(TimePoint now) override;

  io::Loop& loop_;
  const ClientLimits& limits_;
  std::vector<Place> places_;
  std::unordered_multimap<std::size_t, std::size_t> by_hash_;
  std::size_t idle_ = 0;
};

}  // namespace penstock::http
