// Usage records of a gateway under test.
#pragma once

#include <deque>
#include <string>
#include <vector>

#include "meter/usage_record.h"

namespace penstock::gateway {

// Keeps what the gateway writes down, with the texts that a record only borrows.
class RecordKeeper : public meter::UsageSink {
 public:
  void Record(const meter::UsageRecord& record) override {
    texts_.emplace_back();
    Encode(record, texts_.back());
    records.push_back(*meter::DecodeUsage(texts_.back()));
  }
  std::vector<meter::UsageRecord> records;

 private:
  std::deque<std::string> texts_;
};

}  // namespace penstock::gateway
