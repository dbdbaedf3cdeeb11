const { node_ids: nodeIds } = JSON.parse(document.getElementById("charts").textContent);
