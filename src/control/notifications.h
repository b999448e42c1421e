// Notifications: whom an endpoint's owner wants told of updates. Checked, kept and shown; there is
// no mail server to send by.
#pragma once

#include <boost/json.hpp>
#include <optional>
#include <string>

#include "base/result.h"

namespace penstock::control {

inline constexpr std::size_t kRecipientsMax = 100;  // Of one kind.

// What Endpoint::notifications keeps of a body: {"email_notifications": {"on_update_success":
// [address], "on_update_failure": [address]}}; "" where there is none.
std::string ReadNotifications(const boost::json::object& body, std::optional<Error>& failure);

// The value of "email_notifications" in it; nullptr for "".
boost::json::value NotificationsJson(const std::string& kept);

}  // namespace penstock::control
