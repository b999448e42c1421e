// Idle connections.
#include "http/connection_pool.h"

#include <algorithm>
#include <functional>
#include <utility>

namespace penstock::http {

std::size_t ConnectionPool::Find(const Origin& origin) {
  const std::size_t hash = std::hash<std::string>()(origin.address.host) * 31 + origin.address.port;
  const auto [first, last] = by_hash_.equal_range(hash);
  for (auto at = first; at != last; ++at) {
    const Place& place = places_[at->second];
    if (place.address == origin.address && place.tls == origin.connect.tls &&
        place.tls_server_name == origin.connect.tls_server_name) {
      return at->second;
    }
  }
  places_.push_back({origin.address, origin.connect.tls, origin.connect.tls_server_name, {}, {}});
  by_hash_.emplace(hash, places_.size() - 1);
  return places_.size() - 1;
}

std::unique_ptr<io::Stream> ConnectionPool::Take(std::size_t place) {
  auto& idle = places_[place].idle;
  while (!idle.empty()) {
    Idle last = std::move(idle.back());
    idle.pop_back();
    --idle_;
    const bool old = loop_.RecentNow() - last.since >= limits_.idle_max;
    // Input on an idle connection is a close, or an answer that nobody asked for.
    if (!old && !last.stream->hung_up() && !last.stream->MayHaveInput()) {
      return std::move(last.stream);
    }
  }
  return nullptr;
}

void ConnectionPool::Keep(std::size_t place, std::unique_ptr<io::Stream> stream) {
  auto& idle = places_[place].idle;
  if (idle.size() >= limits_.idle_per_origin_max || stream->hung_up()) return;
  const TimePoint now = loop_.RecentNow();
  idle.push_back({std::move(stream), now});
  ++idle_;
  if (!armed()) loop_.wheel().Arm(*this, now + limits_.idle_max);
}

void ConnectionPool::CloseAll() {
  for (Place& place : places_) place.idle.clear();
  idle_ = 0;
  Disarm();
}

void ConnectionPool::OnTimer(TimePoint now) {
  TimePoint oldest = TimePoint::max();
  for (Place& place : places_) {
    const auto old = [&](const Idle& idle) {
      return now - idle.since >= limits_.idle_max || idle.stream->hung_up();
    };
    idle_ -= std::erase_if(place.idle, old);
    if (!place.idle.empty()) oldest = std::min(oldest, place.idle.front().since);
  }
  if (oldest != TimePoint::max()) loop_.wheel().Arm(*this, oldest + limits_.idle_max);
}

}  // namespace penstock::http
