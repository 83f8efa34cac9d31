#pragma once

#include <span>
#include <string>

#include "node/config.h"
#include "storage/file_system.h"
#include "util/result.h"

namespace sluice::apps {

struct DaemonOptions {
    node::NodeConfig config;
    bool show_help{false};     // print HelpText and end with 0; config is not filled
    bool show_version{false};  // likewise VersionText
};

// Parses the arguments (without the program's name) and the sluice.conf that they lead to. Options have one dash or
// two; the command line goes before the chain's section of the file, and that before its common lines; options that may
// be repeated are joined. Errors name the option, or the file and line, and what to write instead.
Result<DaemonOptions> ParseDaemonOptions(std::span<const std::string> args, storage::FileSystem& files);

std::string HelpText();
std::string VersionText(std::string_view program);

}  // namespace sluice::apps
