#include "server/stats/stats_service.h"
