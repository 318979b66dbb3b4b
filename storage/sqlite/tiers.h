// The rollup tiers, from the smallest to the one with every label and hour.

#ifndef MXTALLY_STORAGE_SQLITE_TIERS_H_
#define MXTALLY_STORAGE_SQLITE_TIERS_H_

#include <array>
#include <cstdint>

namespace mxtally::sqlite {

inline constexpr int64_t kHoursPerDay = 24;
inline constexpr int64_t kDaysPerWeek = 7;
inline constexpr int64_t kNanosPerHour = int64_t{3'600'000'000'000};

struct Tier {
  const char* name;
  const char* table;
  // First two columns of the primary key; the third is label_set_id.
  const char* owner;
  const char* period;
  bool by_host;   // Else the owner is the writer.
  int64_t hours;  // Length of a period.
  bool narrow;    // Only the labels of NarrowLabels().
};

inline constexpr Tier kFleetDay = {"fleet_day", "rollup_fleet_day", "writer_id", "day",
                                   false,       kHoursPerDay,       false};
inline constexpr Tier kFleetHour = {
    "fleet_hour", "rollup_fleet_hour", "writer_id", "hour", false, 1, false};
inline constexpr Tier kFleetHourNarrow = {
    "fleet_hour_narrow", "rollup_fleet_hour_narrow", "writer_id", "hour", false, 1, true};
// Weeks begin on Thursdays, as 1970 did.
inline constexpr Tier kHostWeekNarrow = {"host_week_narrow",
                                         "rollup_host_week_narrow",
                                         "host_id",
                                         "week",
                                         true,
                                         kDaysPerWeek* kHoursPerDay,
                                         true};
inline constexpr Tier kHostDayNarrow = {
    "host_day_narrow", "rollup_host_day_narrow", "host_id", "day", true, kHoursPerDay, true};
inline constexpr Tier kHostDay = {"host_day", "rollup_host_day", "host_id", "day",
                                  true,       kHoursPerDay,      false};
inline constexpr Tier kHostHour = {"host_hour", "rollup_host_hour", "host_id", "hour", true, 1,
                                   false};

inline constexpr std::array kTiers = {kFleetDay,      kFleetHour, kFleetHourNarrow, kHostWeekNarrow,
                                      kHostDayNarrow, kHostDay,   kHostHour};

// The one server that writes an SQLite database.
inline constexpr int64_t kWriterId = 1;

// Rounds down, also below zero.
constexpr int64_t FloorDivide(int64_t value, int64_t divisor) {
  return value / divisor - (value % divisor < 0 ? 1 : 0);
}

}  // namespace mxtally::sqlite

#endif  // MXTALLY_STORAGE_SQLITE_TIERS_H_
