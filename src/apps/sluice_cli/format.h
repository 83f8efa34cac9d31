#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "rpc/json_rpc.h"

namespace sluice::apps {

// `text` for a terminal: control characters (but line breaks and tabs, if `lines`), marks that reorder text and broken
// UTF-8 become '?'. For whatever other people chose: titles, descriptions, names.
std::string Printable(std::string_view text, bool lines = false);

// "0 B", "812 B", "64.0 MiB".
std::string FormatSize(uint64_t bytes);
// "42 s", "3 min 10 s", "2 h 5 min".
std::string FormatDuration(uint64_t seconds);

// A value as one line for people: strings bare, lists with commas, null as "-".
std::string FormatValue(const rpc::Json& value);
// One "Label: value" line for each member; `first` come first, in that order. Empty and null members are left out.
std::string FormatObject(const rpc::Json& object, const std::vector<std::string>& first);
// Columns aligned, each as wide as its widest cell; the first row is the head.
std::string FormatTable(const std::vector<std::vector<std::string>>& rows);
// A method's result: a string bare, null as nothing, the rest as indented JSON.
std::string FormatResult(const rpc::Json& result);

// The member of the first name that the object has; null if it has none.
rpc::Json Member(const rpc::Json& object, std::initializer_list<const char*> names);
uint64_t NumberMember(const rpc::Json& object, std::initializer_list<const char*> names);
std::string TextMember(const rpc::Json& object, std::initializer_list<const char*> names);

// A job's progress as one line: " 42 %  27.0 MiB of 64.0 MiB  12.3 MiB/s  2 peers  paid 0.0013 SLU".
std::string FormatProgress(const rpc::Json& job);
// 0 to 100; 0 while the total is unknown.
unsigned PercentOf(const rpc::Json& job);

}  // namespace sluice::apps
