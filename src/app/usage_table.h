// Usage reports, which are JSON, as tables and CSV for people. Pure.
#pragma once

#include <string>

#include <boost/json/value.hpp>

namespace penstock::app {

// `group_by`: the list that was asked for, which names the first columns.
std::string SummaryTable(const boost::json::value& summary, const std::string& group_by);
std::string SummaryCsv(const boost::json::value& summary, const std::string& group_by);
std::string RecordsTable(const boost::json::value& records);
std::string MinutesTable(const boost::json::value& minutes);
std::string MinutesCsv(const boost::json::value& minutes);
std::string CheckText(const boost::json::value& check);

}  // namespace penstock::app
