"""What answers depend on beside the log: the map versions and the values of cost layers, by the names that the log
gives them. Content never changes under a name, so an answer on the same entry of the log is the same for ever."""

from __future__ import annotations

import json
import threading
from collections import OrderedDict
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from utm.airspace.conditions import conditions_from
from utm.airspace.picture import View
from utm.airspace.situation import Situation
from utm.airspace.space import Skies
from utm.mapping import CityMap
from utm.model import Conditions, RuleSet

#: Sets of conditions held at once: a replay sees many, one after the other.
_MOST_CONDITIONS = 4


class World:
    """The maps and layers of one airspace."""

    def __init__(self, open_map: Callable[[str], CityMap], rules: RuleSet, layers: Path):
        self.rules = rules
        self._open_map, self._layers = open_map, layers
        self._lock = threading.Lock()
        self._skies: dict[str, Skies] = {}
        self._maps: dict[str, CityMap] = {}
        self._conditions: OrderedDict[str, Conditions] = OrderedDict()

    def city_map(self, map_version: str) -> CityMap:
        """A version of the map. Raises MapError when it does not open."""
        with self._lock:
            if map_version not in self._maps:
                self._maps[map_version] = self._open_map(map_version)
            return self._maps[map_version]

    def skies(self, map_version: str) -> Skies:
        """The clear heights of a version of the map. Raises MapError when it does not open."""
        city_map = self.city_map(map_version)
        with self._lock:
            if map_version not in self._skies:
                # Windows are large: the version in force, and one that it is changed to.
                self._skies = dict([*self._skies.items()][-1:]) | {map_version: Skies(city_map, self.rules)}
            return self._skies[map_version]

    def conditions(self, document: Mapping[str, Any] | None) -> Conditions:
        """Forecast and cost layers. Raises StoreError when the values of a layer are gone."""
        key = json.dumps(document, sort_keys=True)
        with self._lock:
            if key not in self._conditions:
                self._conditions[key] = conditions_from(document, self._layers)
                if len(self._conditions) > _MOST_CONDITIONS:
                    self._conditions.popitem(last=False)
            self._conditions.move_to_end(key)
            return self._conditions[key]

    def situation(self, view: View, now_s: float) -> Situation:
        """What a plan is judged against at one entry of the log."""
        return Situation(self.skies(view.map_version), view.zones, now_s, self.conditions(view.conditions), view)
