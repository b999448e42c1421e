// Message: one turn of a chat, as requests carry it.
#pragma once

#include <string>
#include <vector>

namespace penstock::bench {

struct Message {
  enum class Role { kSystem, kUser, kAssistant };
  Role role = Role::kUser;
  std::string text{};

  bool operator==(const Message&) const = default;
};

using Messages = std::vector<Message>;

}  // namespace penstock::bench
