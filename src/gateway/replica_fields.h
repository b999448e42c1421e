// ReplicaFields: the header fields that a request carries to a replica. All of them are ours: what
// a client sent goes no further than the gateway, so nobody can claim a deadline or another caller.
#pragma once

#include <algorithm>
#include <array>
#include <charconv>
#include <chrono>
#include <cstdint>
#include <limits>
#include <span>
#include <string_view>

#include "api/replica_headers.h"
#include "base/clock.h"
#include "http/head.h"
#include "policy/dispatcher.h"
#include "policy/key_table.h"

namespace penstock::gateway {

class ReplicaFields {
 public:
  // `request_id` is borrowed. `key`: whose request it is; a part of its hash names the caller.
  ReplicaFields(std::string_view request_id, const policy::KeyHash& key)
      : fields_{{{"x-request-id", request_id}, {kCallerHeader, {}}, {kDeadlineHeader, {}}}} {
    for (std::size_t i = 0; i < caller_.size(); ++i) {
      constexpr char kDigits[] = "0123456789abcdef";
      caller_[i] = kDigits[i % 2 == 0 ? key[i / 2] >> 4 : key[i / 2] & 15];
    }
    fields_[1].value = {caller_.data(), caller_.size()};
  }
  ReplicaFields(const ReplicaFields&) = delete;
  ReplicaFields& operator=(const ReplicaFields&) = delete;

  // For a replica that does or does not read our headers. A green request carries what is left of
  // its time. Views into this, until the next call.
  std::span<const http::Field> For(bool reads_headers, const policy::Grant& grant, TimePoint now) {
    if (!reads_headers) return std::span(fields_).first(1);
    if (grant.deadline == TimePoint::max()) return std::span(fields_).first(2);
    const std::int64_t left =
        std::chrono::duration_cast<std::chrono::milliseconds>(grant.deadline - now).count();
    constexpr std::int64_t kMost = std::numeric_limits<std::int32_t>::max();
    const auto end = std::to_chars(deadline_.data(), deadline_.data() + deadline_.size(),
                                   std::clamp<std::int64_t>(left, 0, kMost))
                         .ptr;
    fields_[2].value = {deadline_.data(), static_cast<std::size_t>(end - deadline_.data())};
    return fields_;
  }

 private:
  std::array<char, 16> caller_{};  // 64 of the hash's 256 bits: tells callers apart, and no more.
  std::array<char, 12> deadline_{};
  std::array<http::Field, 3> fields_;
};

}  // namespace penstock::gateway
