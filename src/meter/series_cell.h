// SeriesCell: what the requests of one kind did within one minute; and the endpoint's gauges.
//
// Everything is a whole number, so that cells merge exactly, in any order: a minute that is made
// again from the ledger equals the one that was kept.
#pragma once

#include <compare>
#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "base/quantile_sketch.h"
#include "base/result.h"
#include "meter/bytes.h"
#include "meter/usage_record.h"

namespace penstock::meter {

// Minutes since 1970.
using Minute = std::int64_t;
Minute MinuteOf(WallTime time);
WallTime TimeOf(Minute minute);

// What tells the cells of an endpoint's minute from each other.
struct SeriesKey {
  std::string model;
  std::int64_t model_version = 0;
  Operation operation = Operation::kUnknown;
  bool stream = false;
  bool spilled = false;  // Came from another endpoint that had no room.
  std::uint16_t status = 0;

  auto operator<=>(const SeriesKey&) const = default;
};

// Values with their count, sum, minimum, maximum, and quantiles.
struct Distribution {
  GaugeStat stat;
  QuantileSketch sketch;

  void Add(std::uint64_t value) {
    stat.Add(value);
    sketch.Add(value);
  }
  void Merge(const Distribution& other) {
    stat.Merge(other.stat);
    sketch.Merge(other.sketch);
  }
  bool operator==(const Distribution&) const = default;
};

struct SeriesCell {
  std::uint64_t requests = 0;
  std::uint64_t disconnected = 0;  // Of requests: the client left.
  std::uint64_t failed = 0;        // Of requests: 5xx, or cut by the replica.
  GaugeStat input;                 // Tokens a request; those that used none do not count.
  GaugeStat cached;
  GaugeStat output;
  GaugeStat total;
  GaugeStat ttft_per_token_ns;  // TTFT ÷ input tokens.
  std::uint64_t cost_milli = 0;
  std::uint64_t reserved_milli = 0;
  Distribution ttft_us;
  Distribution tpot_us;
  Distribution duration_us;
  Distribution queue_us;

  void Add(const UsageRecord& record);
  void Merge(const SeriesCell& other);
  bool operator==(const SeriesCell&) const = default;
};

struct GaugeCell {
  GaugeStat replicas_ready;
  GaugeStat replicas_total;
  GaugeStat queued;
  GaugeStat running;
  GaugeStat utilisation_milli;
  GaugeStat provisioned_milli;

  void Merge(const GaugeCell& other);
  bool operator==(const GaugeCell&) const = default;
};

// One endpoint's minute. Cells are in order of their keys.
struct EndpointMinute {
  struct Entry {
    SeriesKey key;
    SeriesCell cell;
    bool operator==(const Entry&) const = default;
  };
  GaugeCell gauges;
  std::vector<Entry> cells;

  void Merge(const EndpointMinute& other);
  // The key's cell, made where there is none. Valid until the next call.
  SeriesCell& CellOf(const SeriesKey& key);
  bool operator==(const EndpointMinute&) const = default;
};

// What a reader wants of minutes: it gets that at least, and zeros for what is not read.
enum class Column : std::uint16_t {
  kRequests = 1,  // And disconnected, failed, cost, reserved.
  kInput = 1 << 1,
  kCached = 1 << 2,
  kOutput = 1 << 3,
  kTotal = 1 << 4,
  kTtftPerToken = 1 << 5,
  kTtft = 1 << 6,  // Of distributions: all but the sketch.
  kTpot = 1 << 7,
  kDuration = 1 << 8,
  kQueue = 1 << 9,
  kGauges = 1 << 10,
  kSketches = 1 << 11,  // Of all distributions.
};
class Columns {
 public:
  constexpr Columns() = default;
  // NOLINTNEXTLINE(google-explicit-constructor): one column is a set of columns.
  constexpr Columns(Column column) : bits_(static_cast<std::uint16_t>(column)) {}

  constexpr bool Has(Column column) const {
    return (bits_ & static_cast<std::uint16_t>(column)) != 0;
  }
  constexpr Columns operator|(Columns other) const {
    other.bits_ |= bits_;
    return other;
  }
  bool operator==(const Columns&) const = default;

  static constexpr Columns All() { return FromBits(0xFFF); }
  static constexpr Columns Numbers() { return FromBits(0x7FF); }  // All but sketches.

 private:
  static constexpr Columns FromBits(std::uint16_t bits) {
    Columns columns;
    columns.bits_ = bits;
    return columns;
  }
  std::uint16_t bits_ = 0;
};
constexpr Columns operator|(Column a, Column b) { return Columns(a) | Columns(b); }

// Whether quantile sketches are written, or read.
enum class Sketches : bool { kWithout, kWith };

// Bytes of an endpoint's minute, without the endpoint and the minute.
void Encode(const EndpointMinute& minute, Sketches sketches, std::string& out);
// Reads into `minute`, replacing it, and reusing its memory. Errors: kCorrupt.
Status Decode(std::string_view bytes, Sketches sketches, EndpointMinute& minute);

// Parts alone.
void Encode(const SeriesKey& key, ByteWriter& out);
bool DecodeInto(ByteReader& in, SeriesKey& key);  // False: damaged.
void Encode(const GaugeStat& stat, ByteWriter& out);
void DecodeInto(ByteReader& in, GaugeStat& stat);
void Encode(const GaugeCell& gauges, ByteWriter& out);
void DecodeInto(ByteReader& in, GaugeCell& gauges);
void Encode(const QuantileSketch& sketch, ByteWriter& out);
void DecodeInto(ByteReader& in, QuantileSketch& sketch);  // Adds to `sketch`.

}  // namespace penstock::meter
