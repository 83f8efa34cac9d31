#pragma once

#include <gtest/gtest.h>

#include <memory>

#include "storage/temp_folder.h"
#include "util/log.h"

namespace sluice {

// Failing disks, attacks and stopping nodes are what some tests are about: what the nodes say of it goes to a file.
//   const ::testing::Environment* const kQuietLog = ::testing::AddGlobalTestEnvironment(new QuietLog);
class QuietLog final : public ::testing::Environment {
  public:
    explicit QuietLog(LogLevel level = LogLevel::kError) : m_level(level) {}
    void SetUp() override {
        m_folder = std::make_unique<TempFolder>();
        const Status started = StartLog(*m_folder / "log", m_level, false);
        EXPECT_TRUE(started);
    }
    void TearDown() override { m_folder.reset(); }

  private:
    const LogLevel m_level;
    std::unique_ptr<TempFolder> m_folder;
};

}  // namespace sluice
