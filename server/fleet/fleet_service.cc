#include "server/fleet/fleet_service.h"
