// FieldList: fields to send, borrowed for the length of one call.
#pragma once

#include <initializer_list>
#include <span>
#include <vector>

#include "http/head.h"

namespace penstock::http {

// Made in the call: `Respond(200, "text/plain", body, {{"x-request-id", id}})`, or from a span, a
// vector or parsed Fields. Control characters in values are sent as blanks.
class FieldList {
 public:
  FieldList() = default;
  FieldList(std::initializer_list<Field> fields) : fields_(std::data(fields), fields.size()) {}
  FieldList(std::span<const Field> fields) : fields_(fields) {}
  FieldList(const std::vector<Field>& fields) : fields_(fields) {}

  auto begin() const { return fields_.begin(); }
  auto end() const { return fields_.end(); }

 private:
  std::span<const Field> fields_;
};

}  // namespace penstock::http
